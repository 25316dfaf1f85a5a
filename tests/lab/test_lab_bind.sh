#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# vfio-bind on real hardware's interfaces: a NIC, a group of two, a disk in use; killed before
# many of its system calls and mended by --restore; afterwards the host's drivers work as before.

# shellcheck source=tests/lab/lib.sh
. "$(dirname -- "$(readlink -f -- "$0")")/lib.sh"
BIND=$VV_BUILD/tools/vfio-bind

override_of()
{
	cat "/sys/bus/pci/devices/$1/driver_override"
}

# home BDF DRIVER: as if vfio-bind had never been.
home()
{
	equal "$(driver_of "$1")" "$2" && equal "$(override_of "$1")" "(null)" &&
		equal "$(ls -A /run/vfio-vmm)" lock
}

# says STATUS WORDS COMMAND...: its exit status, and a line of its output.
says()
{
	local status=$1 words=$2 out
	shift 2

	out=$("$@" 2>&1)
	equal $? "$status" && { grep -qFx -- "$words" <<<"$out" ||
		{ printf '%s\n' "     no line '$words' in:" "$out"; return 1; }; }
}

disk_sum()
{
	dd "if=$(disk_of "$LAB_NVME")" bs=1M count=64 status=none | sha256sum | cut -c 1-16
}

# --- plain use ------------------------------------------------------------------------------------

check_nic()
{
	check "dry run" says 0 "echo $LAB_NIC > /sys/bus/pci/drivers/e1000e/unbind" \
		"$BIND" --dry-run "$LAB_NIC"
	check "dry run left it" equal "$(driver_of "$LAB_NIC")" e1000e
	check "bind" says 0 "$LAB_NIC is bound to vfio-pci" "$BIND" "$LAB_NIC"
	check "bound" equal "$(driver_of "$LAB_NIC")" vfio-pci
	check "its group has a node" test -c "/dev/vfio/$(group_of "$LAB_NIC")"
	check "bind again" says 0 "$LAB_NIC is bound to vfio-pci already" "$BIND" "$LAB_NIC"
	check "status" says 0 "$LAB_NIC  vfio-pci  group $(group_of "$LAB_NIC")  before: e1000e" \
		"$BIND" --status
	check "restore refused while a process has the group" held_group
	check "restore" says 0 "$LAB_NIC is back with e1000e" "$BIND" --restore "$LAB_NIC"
	check "home" home "$LAB_NIC" e1000e
	check "restore again" says 0 "$LAB_NIC is not bound to vfio-pci: nothing to give back" \
		"$BIND" --restore "$LAB_NIC"
	check "works on the host again" nic_works "$LAB_NIC"
}

# shellcheck disable=SC2317 # called through check
held_group()
{
	local group status
	group=$(group_of "$LAB_NIC")

	exec 9<>"/dev/vfio/$group"
	says 1 "vfio-bind: $LAB_NIC is in use by $(cat /proc/$$/comm) (pid $$) (stop it, or insist with --force-in-use)" \
		"$BIND" --restore "$LAB_NIC"
	status=$?
	exec 9>&-
	return $status
}

check_route()
{
	local interface
	interface=$(netdev_of "$LAB_NIC")

	busybox ip route replace default via 10.0.2.2 dev "$interface"
	check "default route refused" says 1 \
		"vfio-bind: $LAB_NIC is in use: the default route goes over $interface (end that use, or insist with --force-in-use)" \
		"$BIND" "$LAB_NIC"
	check "and untouched" home "$LAB_NIC" e1000e
	busybox ip route del default
	check "an interface that is up is only warned of" says 0 \
		"warning: network interface $interface of $LAB_NIC is up" "$BIND" "$LAB_NIC"
	check "all back" says 0 "$LAB_NIC is back with e1000e" "$BIND" --restore
}

check_group()
{
	local first second
	read -r first second <<<"$LAB_PAIR"

	check "one of a group alone: the rest is pointed out" says 0 \
		"warning: group $(group_of "$second") is not viable yet: $first is still bound to e1000 (run: vfio-bind $first)" \
		"$BIND" "$second"
	check "the whole group" says 0 "$first is bound to vfio-pci" "$BIND" --group "$second"
	check "both bound" equal "$(driver_of "$first") $(driver_of "$second")" "vfio-pci vfio-pci"
	check "restore all" quiet "$BIND" --restore
	check "first home" home "$first" e1000
	check "second home" home "$second" ""
	check "all or none: a bridge among them" not quiet "$BIND" "$LAB_NIC" 0000:00:02.0
	check "the NIC stayed" home "$LAB_NIC" e1000e
}

# --- killed ---------------------------------------------------------------------------------------

# count CALL FILE: how often it stands in a log of strace.
count()
{
	grep -cE "^[0-9]+ +$1\(" "$2"
}

# kill_at CALL N ARGS...: vfio-bind ARGS, killed before its Nth CALL.
kill_at()
{
	local call=$1 n=$2
	shift 2

	# The inner shell keeps its word "Killed" to itself.
	sh -c '"$@"; :' sh strace -f -qq -o /dev/null -e "trace=$call" \
		-e "inject=$call:signal=SIGKILL:when=$n" "$BIND" "$@" >/dev/null 2>&1
}

# killed_in BDF DRIVER WORDS SETUP CALLS ARGS...: vfio-bind ARGS killed before each of CALLS (of
# openat, which mostly only looks, every 25th); each time --restore must mend it. SETUP runs before
# each round.
killed_in()
{
	local bdf=$1 driver=$2 words=$3 setup=$4 calls=$5 call n total step rounds=0 bad=0
	shift 5

	$setup
	strace -f -o /run/strace.log "$BIND" "$@" >/dev/null 2>&1
	quiet "$BIND" --restore
	for call in $calls; do
		total=$(count "$call" /run/strace.log)
		step=1
		[ "$call" != openat ] || step=25
		for ((n = 1; n <= total; n += step)); do
			$setup
			kill_at "$call" "$n" "$@"
			rounds=$((rounds + 1))
			"$BIND" --restore >/run/mend.log 2>&1 && home "$bdf" "$driver" && continue
			echo "     killed before $call $n, then:"
			sed 's/^/     | /' /run/mend.log
			bad=$((bad + 1))
		done
	done
	check "$words killed $rounds times, mended each time" [ "$bad" -eq 0 ]
	KILLED=$((KILLED + rounds))
}

nothing()
{
	:
}

# shellcheck disable=SC2317 # called as $setup
bound_nic()
{
	quiet "$BIND" "$LAB_NIC"
}

check_killed()
{
	KILLED=0
	killed_in "$LAB_NIC" e1000e "binding the NIC" nothing \
		"write fsync rename unlink flock openat" "$LAB_NIC"
	killed_in "$LAB_NIC" e1000e "giving the NIC back" bound_nic \
		"write unlink openat" --restore "$LAB_NIC"
	check "the NIC works on the host" nic_works "$LAB_NIC"
	killed_in "$LAB_NVME" nvme "binding the disk" disk_there "write rename" "$LAB_NVME"
	check "the disk has its contents" equal "$(disk_sum)" 52d012e85fe2b403
	check "killed 30 times at least ($KILLED)" [ "$KILLED" -ge 30 ]
}

# The driver probes in the background: a round starts with the disk there.
# shellcheck disable=SC2317 # called as $setup
disk_there()
{
	disk_of "$LAB_NVME" >/dev/null
}

# --- a disk in use --------------------------------------------------------------------------------

check_disk()
{
	local disk refusal
	disk=$(disk_of "$LAB_NVME")

	check "an idle disk can be bound" says 0 "$LAB_NVME is bound to vfio-pci" "$BIND" "$LAB_NVME"
	check "and given back" says 0 "$LAB_NVME is back with nvme" "$BIND" --restore "$LAB_NVME"
	disk=$(disk_of "$LAB_NVME")
	check "with its contents" equal "$(disk_sum)" 52d012e85fe2b403

	modprobe ext4
	quiet mkfs.ext4 -F "$disk" && mkdir -p /run/mnt && mount "$disk" /run/mnt
	check "mounted" grep -q "^$disk /run/mnt " /proc/mounts
	refusal="vfio-bind: $LAB_NVME is in use: $disk is mounted on /run/mnt (end that use, or insist with --force-in-use)"
	check "a mounted disk is refused" says 1 "$refusal" "$BIND" "$LAB_NVME"
	check "with others, too" says 1 "$refusal" "$BIND" "$LAB_NIC" "$LAB_NVME"
	check "and none of them is touched" home "$LAB_NIC" e1000e
	check "the file system lives" sh -c 'echo words >/run/mnt/file && sync /run/mnt/file'
	umount /run/mnt
	check "unmounted it is bound" says 0 "$LAB_NVME is bound to vfio-pci" "$BIND" "$LAB_NVME"
	check "and back" says 0 "$LAB_NVME is back with nvme" "$BIND" --restore
	disk=$(disk_of "$LAB_NVME")
	mount "$disk" /run/mnt
	check "the file is there" equal "$(cat /run/mnt/file)" words
	umount /run/mnt
	quiet mkswap "$disk" && swapon "$disk"
	check "swap is refused" says 1 \
		"vfio-bind: $LAB_NVME is in use: $disk is swap space (end that use, or insist with --force-in-use)" \
		"$BIND" "$LAB_NVME"
	swapoff "$disk"
	quiet mkfs.ext4 -F "$disk" && mount -o ro "$disk" /run/mnt
	check "a mounted disk by force" says 0 \
		"warning: $LAB_NVME is in use: $disk is mounted on /run/mnt" \
		"$BIND" --force-in-use "$LAB_NVME"
	check "is bound" equal "$(driver_of "$LAB_NVME")" vfio-pci
	umount -l /run/mnt
	check "and given back" says 0 "$LAB_NVME is back with nvme" "$BIND" --restore
	check "and home" home "$LAB_NVME" nvme
}

if in_lab; then
	modprobe e1000e && modprobe e1000 && modprobe nvme
	rm -rf /run/vfio-vmm
	check "the NIC works before" nic_works "$LAB_NIC"
	check_nic
	check_route
	check_group
	check_killed
	check_disk
	finish
fi
[ -x "$BIND" ] || skip "$BIND is not built"
command -v strace >/dev/null || skip "no strace (apt-get install strace)"
LAB_TEST_TIMEOUT=${LAB_TEST_TIMEOUT:-1500}
lab_self
