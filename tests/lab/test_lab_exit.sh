#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# How a lab ends: the command's status, 124, 125, signals; nothing of it is left behind.

# shellcheck source=tests/lab/lib.sh
. "$(dirname -- "$(readlink -f -- "$0")")/lib.sh"

# This lab's directories are under $TMPDIR: none may be left.
export TMPDIR=$WORK/tmp
mkdir "$TMPDIR"
# shellcheck disable=SC2317 # called through check
nothing_left()
{
	equal "$(find "$TMPDIR" -mindepth 1 -maxdepth 1)" "" &&
		equal "$(pgrep -f "path=$TMPDIR/" | tr '\n' ' ')" ""
}

test_usage()
{
	lab
	check "no command: 125" equal "$STATUS" 125
	check "no command: said" contains "$OUT" 'no COMMAND'
	lab --nonsense -- true
	check "unknown option: 125, named" contains "$STATUS $OUT" "^125 .*'--nonsense'"
	lab --memory lots -- true
	check "bad memory: 125, named" contains "$STATUS $OUT" "^125 .*--memory 'lots'"
	lab --iommu arm -- true
	check "bad IOMMU: 125, named" contains "$STATUS $OUT" "^125 .*--iommu 'arm'"
	lab --kernel 2.4 -- true
	check "unknown kernel: 125, named" contains "$STATUS $OUT" "^125 .*--kernel '2.4'"
	lab --icount --cpus 2 -- true
	check "--icount has one processor: 125" contains "$STATUS $OUT" '^125 .*--cpus 2'
	lab --timeout
	check "no value: 125, named" contains "$STATUS $OUT" '^125 .*--timeout needs a value'
	lab --shell </dev/null
	check "no terminal: 125, said" contains "$STATUS $OUT" '^125 .*terminal'
}

test_status()
{
	local begun=$SECONDS

	lab -- bash -c 'echo word; echo other >&2; exit 42'
	took=$((SECONDS - begun))
	check "the command's status" equal "$STATUS" 42
	check "the command's output, both streams" equal "$OUT" "word
other"
	check "nothing left" nothing_left
	head -c 3000000 /dev/urandom >"$WORK/data"
	"$VFIO_LAB" -- cat "$WORK/data" >"$WORK/copy"
	check "binary output comes out whole" cmp "$WORK/data" "$WORK/copy"
}

# With the clock counting instructions, idle time is free: 100 seconds pass in a few. (The
# wait for a file of the host's is idle time as well: more may have passed.)
test_icount()
{
	local begun=$SECONDS

	# shellcheck disable=SC2016 # expanded in the lab
	lab --icount --timeout 120 -- bash -c 'read -r a _ </proc/uptime; sleep 100
		read -r b _ </proc/uptime; echo $((${b%.*} - ${a%.*}))'
	check "--icount: 100 s slept" contains "$STATUS $OUT" '^0 [1-9][0-9][0-9]$'
	check "--icount: in less ($((SECONDS - begun)) s)" [ $((SECONDS - begun)) -lt 100 ]
}

test_never_ran()
{
	local words

	echo "not a kernel" >"$WORK/broken"
	lab --kernel "$WORK/broken" -- true
	check "a broken kernel file: 125" equal "$STATUS" 125
	check "it says what QEMU said" contains "$OUT" 'qemu: .*kernel'
	# A kernel without the modules it needs stops before COMMAND: its console is shown.
	lab --kernel "$("$VFIO_LAB" --print-kernel)" -- true
	check "a kernel that finds no root: 125" equal "$STATUS" 125
	check "the end of its console" contains "$OUT" '^  \| .*vfio-lab: no host root'
	lab --device nonsense -- true
	check "an unknown device: 125, named" contains "$STATUS $OUT" '^125 '
	check "an unknown device, QEMU's words" contains "$OUT" "qemu: .*'nonsense'"
	lab -- bash -c 'echo before; echo 1 >/proc/sys/kernel/sysrq; echo c >/proc/sysrq-trigger; sleep 99'
	check "a panic under the command: 125" equal "$STATUS" 125
	check "a panic: the kernel's words" contains "$OUT" '^  \| .*Kernel panic'
	words=$(VFIO_LAB_BOOT_TIMEOUT=1 "$VFIO_LAB" -- true 2>&1)
	check "a boot that takes too long: 125" equal $? 125
	check "a boot that takes too long: said" contains "$words" 'nothing in 1 seconds'
	check "a boot that takes too long: tried again" contains "$words" 'starting it again'
	check "nothing left" nothing_left
}

test_timeout()
{
	local begun=$SECONDS limit=$((10 + 2 * took))

	# The machine may be busy: the limit leaves room for a start as slow as the first was.
	lab --timeout $limit -- bash -c 'echo begins; sleep 3000'
	check "a timeout: 124" equal "$STATUS" 124
	check "a timeout: output until then" contains "$OUT" '^begins'
	check "a timeout: said" contains "$OUT" "timed out after $limit seconds"
	check "a timeout: in time ($((SECONDS - begun)) s)" [ $((SECONDS - begun)) -lt $((limit + 3 * took + 15)) ]
	check "nothing left" nothing_left
}

test_signals()
{
	local pid status

	for signal in TERM KILL; do
		"$VFIO_LAB" -- bash -c 'echo begins; sleep 300' >"$WORK/out" 2>&1 &
		pid=$!
		until_true 120 grep -q begins "$WORK/out"
		kill "-$signal" "$pid"
		wait "$pid" 2>/dev/null
		status=$?
		case $signal in
		TERM) check "SIGTERM: 143" equal "$status" 143
			check "SIGTERM: nothing left" until_true 10 nothing_left ;;
		KILL) check "SIGKILL: no QEMU left" until_true 10 \
			equal "$(pgrep -f "path=$TMPDIR/" | tr '\n' ' ')" "" ;;
		esac
	done
}

test_usage
test_status
test_icount
test_never_ran
test_timeout
test_signals
finish
