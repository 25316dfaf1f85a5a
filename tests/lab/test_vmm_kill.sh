#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# kill -9 between bind and exit, LAB_TEST_KILLS times (20): a fifth of them before writes of
# vfio-bind to sysfs, the others before ioctls of vfio-vmm with a guest of a few instructions, both
# spread over all of their lives. After each the function goes back to the host's driver; of every
# fifth it is asked to do DHCP and pings there.

# shellcheck source=tests/lab/lib.sh
. "$(dirname -- "$(readlink -f -- "$0")")/lib.sh"
KILLS=${LAB_TEST_KILLS:-20}

# The two under test; what their arguments begin with stands before them.
vmm()
{
	"$@" "$VV_BUILD/tools/vfio-vmm" --assign "$LAB_NIC" --kernel "$WORK/exit.elf" --memory 16 \
		--serial none --device debug-exit,port=0x501 </dev/null
}

bind_it()
{
	"$@" "$VV_BUILD/tools/vfio-bind" "$LAB_NIC"
}

# calls_of PROGRAM SYSCALL PATTERN: how many of them it makes. strace counts by thread: those of the
# thread with most of them.
calls_of()
{
	"$1" strace -f -qq -e "trace=$2" -o "$WORK/trace" >/dev/null 2>&1
	awk -v call="$2(" 'index($0, call) { n = ++c[$1]; if (n > max) max = n }
		END { print max + 0 }' "$WORK/trace"
}

# killed_at PROGRAM SYSCALL N: whether it was.
killed_at()
{
	{ "$1" strace -f -qq -o /dev/null -e "trace=$2" \
		-e "inject=$2:signal=SIGKILL:when=$3"; } >/dev/null 2>&1
	[ $? -eq 137 ]
}

# works_on_host N: nothing holds the group, vfio-bind mends what there is to mend, the host's driver
# has the function and its registers answer.
works_on_host()
{
	local interface words

	[ ! -c "/dev/vfio/$GROUP" ] || quiet sh -c "exec 9<>/dev/vfio/$GROUP" ||
		{ echo "     the group is held"; return 1; }
	words=$("$VV_BUILD/tools/vfio-bind" --restore 2>&1) || { echo "     $words"; return 1; }
	[ -n "$(driver_of "$LAB_NIC")" ] || echo "$LAB_NIC" >/sys/bus/pci/drivers_probe
	equal "$(driver_of "$LAB_NIC")" e1000e || return 1
	interface=$(netdev_of "$LAB_NIC")
	equal "$(cat "/sys/class/net/$interface/address")" 52:54:00:1a:b0:01 || return 1
	[ $(($1 % 5)) -ne 0 ] || quiet nic_works "$LAB_NIC" || { echo "     no network"; return 1; }
}

# Number $1, of $2 of this kind, before a call of so many: which one it is.
kill_round()
{
	local i=$1 program=$2 syscall=$3 at=$4

	killed_at "$program" "$syscall" "$at" && killed=$((killed + 1))
	works_on_host "$i" || { echo "     after $program was killed at $syscall $at"; bad=$((bad + 1)); }
}

if in_lab; then
	mkdir -p "$WORK"
	GROUP=$(group_of "$LAB_NIC")
	modprobe e1000e
	echo "$LAB_NIC" >/sys/bus/pci/drivers_probe
	check "the host's driver has it" equal "$(driver_of "$LAB_NIC")" e1000e
	writes=$(calls_of bind_it write)
	check "a whole run" vmm env
	ioctls=$(calls_of vmm ioctl)
	echo "     $writes writes, $ioctls ioctls"
	check "enough of them" [ "$writes" -ge 3 -a "$ioctls" -ge 100 ]
	check "given back" works_on_host 1
	bad=0 killed=0
	for ((i = 1; i <= KILLS; i++)); do
		if [ $((i % 5)) -eq 1 ]; then
			kill_round "$i" bind_it write $((i / 5 % writes + 1))
		else
			quiet bind_it env || { echo "     not bound, round $i"; bad=$((bad + 1)); }
			kill_round "$i" vmm ioctl $((i * ioctls / KILLS))
		fi
	done
	check "killed $killed times of $KILLS" [ "$killed" -ge $((KILLS * 9 / 10)) ]
	check "the device works on the host after each" [ "$bad" -eq 0 ]
	check "a whole run" eval 'quiet bind_it env && vmm env'
	check "nothing is left running" not quiet pgrep -x vfio-vmm
	check "the kernel has nothing to complain of" not quiet sh -c "dmesg | grep -E 'BUG:|Oops'"
	finish
fi
command -v strace >/dev/null || skip "no strace (apt-get install strace)"
gcc -nostdlib -static -no-pie -Wl,-Ttext=0x100000 -Wl,--build-id=none -Wl,-n -Wl,-e,start_pvh \
	"$REPO/tests/bench/exit.S" -o "$WORK/exit.elf" || exit 1
LAB_TEST_TIMEOUT=${LAB_TEST_TIMEOUT:-$((180 + 12 * KILLS))}
lab_self --env LAB_TEST_KILLS="$KILLS"
