#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# A stock guest without any assigned device, 2 vCPUs: boots, reboots, powers off; with both kinds
# of irqchip; a crash and --reboot exit have their exit statuses; pause and resume hold and release it.

# shellcheck source=tests/lab/lib.sh
. "$(dirname -- "$(readlink -f -- "$0")")/lib.sh"

vmm()
{
	"$VV_BUILD/tools/vfio-vmm" --kernel "$LAB_GUEST_KERNEL" --initrd "$WORK/stock.cpio" \
		--memory 256 --cpus 2 "$@" </dev/null 2>&1 | tr -d '\r' | tee "$WORK/log.txt"
	return "${PIPESTATUS[0]}"
}

control()
{
	python3 - "$WORK/control" "$@" <<'PY'
import json, socket, sys
s = socket.socket(socket.AF_UNIX)
s.settimeout(30)
s.connect(sys.argv[1])
f = s.makefile("rw")
for name in sys.argv[2:]:
    f.write(json.dumps({"execute": name, "id": name}) + "\n")
    f.flush()
    while True:
        reply = json.loads(f.readline())
        if reply.get("id") == name:
            print(json.dumps(reply))
            break
PY
}

ticks()
{
	grep -c '^guest: tick' "$WORK/out"
}

# The guest ticks once a second; a paused one does not.
pausing()
{
	local pid before

	: >"$WORK/out"
	"$VV_BUILD/tools/vfio-vmm" --kernel "$LAB_GUEST_KERNEL" --initrd "$WORK/stock.cpio" --memory 256 \
		--cpus 2 --control "$WORK/control" --cmdline "$GUEST_WORDS guest.end=wait" </dev/null >"$WORK/out" 2>&1 &
	pid=$!
	for _ in $(seq 900); do
		[ "$(ticks)" -lt 2 ] || break
		sleep 0.1
	done
	check "status says running" contains "$(control status)" '"state": "running"'
	check "pause" contains "$(control pause)" '"return": \{\}'
	check "status says paused" contains "$(control status)" '"state": "paused"'
	sleep 1
	before=$(ticks)
	sleep 4
	check "a paused guest does nothing" equal "$(ticks)" "$before"
	check "resume" contains "$(control resume)" '"return": \{\}'
	sleep 5
	check "a resumed one goes on" [ "$(ticks)" -gt "$before" ]
	check "an unknown command is named" contains "$(control rest)" 'did you mean .*reset'
	check "quit" contains "$(control quit)" '"return": \{\}'
	wait $pid
	check "exit status after quit" equal $? 0
}

if in_lab; then
	mkdir -p "$WORK"
	vmm --cmdline "$GUEST_WORDS"
	check "powers off: exit status 0" equal $? 0
	check "two CPUs" grep -q '^guest: stock .* 2 CPUs' "$WORK/log.txt"
	check "the guest warns of nothing that the lab does not" guest_warnings "$WORK/log.txt"
	vmm --cmdline "$GUEST_WORDS guest.end=reboot" --reboot exit --accel kvm,kernel-irqchip=split
	check "--reboot exit: exit status 0" equal $? 0
	check "split irqchip: the guest ran" grep -q '^guest: rebooting' "$WORK/log.txt"
	vmm --cmdline "$GUEST_WORDS guest.end=crash panic=-1" --reboot exit
	check "a kernel panic with panic=-1 is a reboot" equal $? 0
	pausing
	finish
fi
guest_kernel
guest stock.cpio --script "$HERE/guests/reboot"
lab_self --cpus 2 --env LAB_GUEST_KERNEL="$LAB_GUEST_KERNEL"
