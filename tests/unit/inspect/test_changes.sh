#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# diff and watch: what appears, vanishes and changes is told, once, and nothing else.
src=${VV_SRC:-$(dirname -- "$(readlink -f -- "$0")")/../../..}
build=${VV_BUILD:-$src/build}
command -v python3 >/dev/null || { echo "SKIP no python3 here"; exit 77; }
inspect=$build/tools/vfio-inspect
tmp=$(mktemp -d "${TMPDIR:-/tmp}/vv-changes.XXXXXX") || exit 1
trap 'kill "$pid" 2>/dev/null; rm -rf -- "$tmp"' EXIT
root=$tmp/root
pid=
failed=0

# check WORDS COMMAND...
check()
{
	local words=$1
	shift

	if "$@"; then
		echo "ok   $words"
	else
		echo "FAIL $words"
		cat "$tmp/out" "$tmp/err" 2>/dev/null
		failed=1
	fi
}

# status WANT COMMAND...: its output in $tmp/out
status()
{
	local want=$1
	shift
	"$@" >"$tmp/out" 2>&1
	[ $? -eq "$want" ]
}

"$src/tests/hosts/hosts.py" make "$src/tests/hosts/desktop-intel.host" "$root" || exit 1
dev=$root/sys/devices/pci0000:00/0000:00:1c.0/0000:02:00.0
"$inspect" --root "$root" --json >"$tmp/old.json"
check "no change, no words" status 0 "$inspect" --root "$root" diff "$tmp/old.json"
check "... none at all" test ! -s "$tmp/out"

# Bound to another driver, another power state, a function gone and one come.
ln -sfn ../../../../bus/pci/drivers/vfio-pci "$dev/driver"
sed -i 's/DRIVER=nvme/DRIVER=vfio-pci/' "$dev/uevent"
echo D3hot >"$dev/power_state"
rm "$root/sys/bus/pci/devices/0000:00:14.0" "$root/sys/kernel/iommu_groups/3/devices/0000:00:14.0"
cp -r "$dev" "$dev/../0000:02:00.1"
ln -s ../../../devices/pci0000:00/0000:00:1c.0/0000:02:00.1 "$root/sys/bus/pci/devices/"
cat >"$tmp/want" <<'END'
- group 3
~ group 5 viability: not-viable -> viable
~ group 5 verdict: not viable: 0000:02:00.0 has nvme -> viable
~ group 5 functions: ["0000:02:00.0"] -> ["0000:02:00.0","0000:02:00.1"]
- 0000:00:14.0 Intel Corporation 100 Series/C230 Series USB 3.0 xHCI Controller
~ 0000:02:00.0 driver: nvme -> vfio-pci
~ 0000:02:00.0 blocks_group: true -> false
~ 0000:02:00.0 power_state: D0 -> D3hot
+ 0000:02:00.1 Samsung Electronics NVMe SSD Controller SM961/PM961
END
check "differences are exit status 1" status 1 "$inspect" --root "$root" --diff "$tmp/old.json"
grep -vE 'iommu dmar|group 5 merge' "$tmp/out" >"$tmp/got"
check "each change is a line" diff "$tmp/want" "$tmp/got"
check "as JSON" status 1 "$inspect" --root "$root" --json --diff "$tmp/old.json"
check "... that parses and says the same" python3 - "$tmp/out" <<'END'
import json, sys
doc = json.load(open(sys.argv[1]))
assert doc["schema"] == "vfio-inspect-diff" and doc["version"] == 1
assert {"change": "changed", "kind": "function", "id": "0000:02:00.0", "field": "driver",
        "old": "nvme", "new": "vfio-pci"}.items() <= next(
            c for c in doc["changes"] if c.get("field") == "driver").items()
END

# What is no inventory of ours.
printf '{"schema": "vfio-inspect", "version": 99}' >"$tmp/newer.json"
printf '{"a": [' >"$tmp/cut.json"
printf '[1]' >"$tmp/other.json"
for bad in newer cut other missing; do
	check "$bad.json is named" status 2 "$inspect" --root "$root" diff "$tmp/$bad.json"
	check "... in a sentence" grep -q "^vfio-inspect: .*$bad.json" "$tmp/out"
done
printf '{"schema": "vfio-inspect", "version": 1, "host": 5, "functions": [7, {"address": [1]}, {
"address": "\\u001b[2J", "name": "\\u0007x"}], "groups": {"id": 1}}' >"$tmp/hostile.json"
check "odd types are no crash" status 1 "$inspect" --root "$root" diff "$tmp/hostile.json"
check "... nor control characters" grep -qF -- '- \u001B[2J \u0007x' "$tmp/out"

check "watch with --redact is wrong usage" status 2 "$inspect" --root "$root" --redact watch

# watch
waits_for()
{
	for _ in {1..150}; do
		grep -qF -- "$1" "$tmp/out" && return 0
		sleep 0.1
	done
	return 1
}

"$inspect" --root "$root" --watch --every 0.2 >"$tmp/out" 2>"$tmp/err" &
pid=$!
for _ in {1..150}; do grep -q watching "$tmp/err" 2>/dev/null && break; sleep 0.1; done
echo D0 >"$dev/power_state"
check "watch tells a change" waits_for '~ 0000:02:00.0 power_state: D3hot -> D0'
rm "$root/sys/bus/pci/devices/0000:02:00.1"
check "... and what vanishes" waits_for '- 0000:02:00.1 Samsung'
check "... each once" test "$(grep -c power_state "$tmp/out")" -eq 1
kill -INT "$pid"
wait "$pid"
check "it ends cleanly when interrupted" test $? -eq 0
pid=
check "it says whose events it hears" grep -qE "watching the events of (udev|the kernel)" "$tmp/err"

# Does this machine tell its device events here? A container may hear none.
hears()
{
	python3 - "$1" <<-'END'
		import select, socket, sys
		s = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 15)
		s.bind((0, 1))
		open(sys.argv[1], "w").write("change")
		sys.exit(0 if select.select([s], [], [], 3)[0] else 1)
	END
}

# Events of this machine that change nothing, a thousand of them: it looks, and tells what the
# captured one has changed meanwhile.
uevent=$(find /sys/bus/pci/devices/*/ -maxdepth 1 -name uevent -writable 2>/dev/null | head -n 1)
if [ ! -e /run/udev/control ] && [ -n "$uevent" ] && hears "$uevent" 2>/dev/null; then
	rm -f "$tmp/out" "$tmp/err" # what the first one said is not waited for
	"$inspect" --root "$root" watch >"$tmp/out" 2>"$tmp/err" &
	pid=$!
	for _ in {1..150}; do grep -q watching "$tmp/err" 2>/dev/null && break; sleep 0.1; done
	echo D3hot >"$dev/power_state"
	for _ in {1..1000}; do echo change >"$uevent"; done
	check "an event makes it look" waits_for '~ 0000:02:00.0 power_state: D0 -> D3hot'
	check "... a burst tells a change once" test "$(grep -c power_state "$tmp/out")" -eq 1
	kill -TERM "$pid"
	wait "$pid"
	check "it ends cleanly when told to" test $? -eq 0
	pid=
else
	echo "no kernel events to try here"
fi
exit "$failed"
