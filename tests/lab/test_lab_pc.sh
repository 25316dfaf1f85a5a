#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The lab's default PC is the documented one: devices, groups, disk, networks; the caller's
# surroundings are there; the host's files can't be changed; the monitor answers.

# shellcheck source=tests/lab/lib.sh
. "$(dirname -- "$(readlink -f -- "$0")")/lib.sh"

id_of()
{
	echo "$(cat "/sys/bus/pci/devices/$1/vendor"):$(cat "/sys/bus/pci/devices/$1/device")"
}

# shellcheck disable=SC2317 # called through check
alone_in_group()
{
	equal "$(ls "/sys/bus/pci/devices/$1/iommu_group/devices")" "$1"
}

check_devices()
{
	local bdf pair first second

	check "NVMe at $LAB_NVME" equal "$(id_of "$LAB_NVME")" 0x1b36:0x0010
	check "edu at $LAB_EDU" equal "$(id_of "$LAB_EDU")" 0x1234:0x11e8
	check "e1000e at $LAB_NIC" equal "$(id_of "$LAB_NIC")" 0x8086:0x10d3
	check "e1000 at $LAB_E1000" equal "$(id_of "$LAB_E1000")" 0x8086:0x100e
	check "e1000 has neither MSI nor MSI-X" not grep -qE 'MSI' \
		<<<"$(lspci -vs "$LAB_E1000")"
	read -r first second <<<"$LAB_PAIR"
	check "pair's NIC at $first" equal "$(id_of "$first")" 0x8086:0x100f
	check "pair's edu at $second" equal "$(id_of "$second")" 0x1234:0x11e8
	for bdf in "$LAB_NVME" "$LAB_EDU" "$LAB_NIC" "$LAB_E1000"; do
		check "$bdf alone in its group" alone_in_group "$bdf"
	done
	check "the pair shares a group" equal "$(group_of "$first")" "$(group_of "$second")"
	pair=("$LAB_NVME" "$LAB_EDU" "$LAB_NIC" "$LAB_E1000" "$first" "$second")
	for bdf in "${pair[@]}"; do
		check "$bdf has no driver yet" equal "$(driver_of "$bdf")" ""
	done
}

# shellcheck disable=SC2317 # called by a computed name
check_map_intel()
{
	check "fixed addresses" equal "$LAB_NVME $LAB_EDU $LAB_NIC $LAB_E1000 $LAB_PAIR" \
		"0000:01:00.0 0000:02:00.0 0000:03:00.0 0000:00:10.0 0000:05:01.0 0000:05:02.0"
	for port in 02 03 04; do
		check "00:$port.0 is a PCIe root port" grep -q 'Root Port' \
			<<<"$(lspci -vs "00:$port.0")"
	done
}

# shellcheck disable=SC2317 # called by a computed name
check_map_amd()
{
	check "fixed addresses" equal "$LAB_NVME $LAB_EDU $LAB_NIC $LAB_E1000 $LAB_PAIR" \
		"0000:00:11.0 0000:00:12.0 0000:00:13.0 0000:00:10.0 0000:00:14.0 0000:00:14.1"
	check "an AMD IOMMU" grep -q 'IOMMU' <<<"$(lspci -s 00:01.0)"
}

check_system()
{
	check "root" equal "$(id -u)" 0
	check "KVM" test -c /dev/kvm
	check "VFIO" test -c /dev/vfio/vfio
	check "type1 IOMMU back end" test -d /sys/module/vfio_iommu_type1
	check "driver vfio-pci" test -d /sys/bus/pci/drivers/vfio-pci
	check "interrupt remapping" grep -qE 'Enabled IRQ remapping|Interrupt remapping enabled' \
		<<<"$(dmesg)"
	check "tracefs with KVM's events" test -d /sys/kernel/tracing/events/kvm
	check "debugfs" test -d /sys/kernel/debug/kvm
	check "pseudo terminals" test -c /dev/pts/ptmx
	check "loopback is up" quiet busybox ping -c 1 127.0.0.1
	check "hugetlbfs is mounted" grep -q "^huge /dev/hugepages hugetlbfs" /proc/mounts
	check "modprobe knows e1000e" modprobe -n e1000e
	check "modprobe knows nvme" modprobe -n nvme
}

check_surroundings()
{
	check "the caller's directory" equal "$PWD" "$REPO"
	check "a variable of --env" equal "$LAB_WORDS" "two words 'and a quote"
	check "host's files are there" equal "$(cat "$WORK/host")" "from the host"
	echo changed >"$WORK/host"
	check "a changed file is changed inside" equal "$(cat "$WORK/host")" changed
	rm -f "$WORK/removed"
	check "a removed file is gone inside" not test -e "$WORK/removed"
	mkdir /run/again && mount -t 9p -o trans=virtio,version=9p2000.L again /run/again
	check "the share of the host's root can be read" test -e "/run/again$WORK/host"
	check "and not written, even when mounted so" not quiet touch "/run/again$WORK/host"
	check "nor anything made in it" not quiet mkdir "/run/again$WORK/new"
	echo "out of the lab" >"$LAB_RESULTS/word"
}

check_monitor()
{
	check "lab-monitor answers" contains "$(lab-monitor 'info version')" '^[0-9]+\.'
	# What the port's echo of the greeting may leave: half a request.
	{ printf '{"half": {"a": '; sleep 0.5; } >/dev/ttyS2
	check "lab-monitor: lines, quotes" contains "$(lab-monitor 'info pci')" 'id "nic"'
	check "lab-monitor: an error is an exit status" not quiet lab-monitor 'device_del nosuch'
}

# Only behind a root port: the spare one of the Intel PC takes a device while the PC runs.
check_hotplug()
{
	local device=/sys/bus/pci/devices/0000:06:00.0

	[ "$LAB_IOMMU" = intel ] || return
	lab-monitor 'device_add edu,id=late,bus=spare'
	check "a device plugged into the spare port" until_true 20 test -d "$device"
	lab-monitor 'device_del late'
	check "and unplugged" until_true 20 not test -e "$device"
}

check_disk_and_net()
{
	local disk

	modprobe nvme && modprobe e1000e && modprobe e1000
	disk=$(disk_of "$LAB_NVME")
	check "disk: record 1000000 is its number" equal \
		"$(dd "if=$disk" bs=16 skip=1000000 count=1 2>/dev/null)" 000000001000000
	check "disk: the first MiB's checksum" equal \
		"$(head -c 1048576 "$disk" | sha256sum | cut -d ' ' -f 1)" \
		f879b2e770d4e56cb2bdb4ebcc16a7d95ad955923b7845bfc6ce1f8eb525dab8
	check "disk: writable" dd if=/dev/zero "of=$disk" bs=4096 count=1 status=none
	check "e1000e works with the host's driver" nic_works "$LAB_NIC"
}

if in_lab; then
	check_system
	check_devices
	"check_map_$LAB_IOMMU"
	check_surroundings
	check_monitor
	check_hotplug
	check_disk_and_net
	finish
fi

# Outside: what must be found inside, and what must not have changed afterwards.
cd "$REPO" || exit 1
echo "from the host" >"$WORK/host"
echo "stays" >"$WORK/removed"
sum=$(sha256sum <"${VFIO_LAB_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/vfio-vmm}/disk.img" 2>/dev/null)
for iommu in ${LAB_TEST_IOMMU:-intel amd}; do
	echo "--- $iommu"
	(lab_self --iommu "$iommu" \
		--device virtio-9p-pci,fsdev=lab-host,mount_tag=again,disable-legacy=on --env LAB_WORDS="two words 'and a quote")
	status=$?
	[ $status -ne 77 ] || exit 77
	check "the $iommu PC" [ $status -eq 0 ]
	check "the host's file is unchanged" equal "$(cat "$WORK/host")" "from the host"
	check "the host's file is not removed" test -e "$WORK/removed"
	check "results came out" equal "$(cat "$WORK/results/word")" "out of the lab"
	rm -f "$WORK/results/word"
done
[ -z "$sum" ] || check "the disk's image is unchanged" equal "$sum" \
	"$(sha256sum <"${VFIO_LAB_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/vfio-vmm}/disk.img")"
finish
