# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash disable=SC2034,SC2054
#
# The lab's PC as QEMU arguments: CPU, IOMMU, the devices to assign at their documented addresses
# (docs/lab.md), and the lab's own virtio-9p devices out of their way. Needs lib.sh.

# QEMU reads a comma as the end of a value; a doubled one is itself.
lab_escape()
{
	printf '%s' "${1//,/,,}"
}

# Hardware virtualization for the lab's PC, which must itself offer it to its own guests: that
# takes the CPU's flag and the module's word. A /dev/kvm alone proves neither.
lab_accel()
{
	local nested

	case ${VFIO_LAB_ACCEL:-auto} in
	tcg | kvm) echo "$VFIO_LAB_ACCEL"; return ;;
	auto) ;;
	*) lab_die "VFIO_LAB_ACCEL is '$VFIO_LAB_ACCEL': use tcg, kvm or auto" ;;
	esac
	nested=$(cat /sys/module/kvm_intel/parameters/nested /sys/module/kvm_amd/parameters/nested \
		2>/dev/null | head -n 1)
	if grep -qwE 'vmx|svm' /proc/cpuinfo && [[ $nested == [1Y]* ]] &&
		[ -r /dev/kvm ] && [ -w /dev/kvm ]; then
		echo kvm
	else
		echo tcg
	fi
}

# TCG does not intercept XSETBV for SVM, so KVM in the lab would never learn its guests' XCR0:
# XSAVE and what needs it is hidden. The rest are features TCG has not and would warn of.
LAB_TCG_CPU=EPYC,+svm,+npt,-nrip-save,-xsave,-xsavec,-xsaveopt,-xsaves,-xgetbv1,-avx,-avx2,-fma
LAB_TCG_CPU+=,-f16c,-rdseed,-sha-ni,-fxsr-opt,-misalignsse,-3dnowprefetch,-osvw,-topoext

# lab_pc_machine ACCEL ICOUNT: processor and chip set.
lab_pc_machine()
{
	local accel=$1 icount=$2

	PC+=(-machine q35,kernel-irqchip=split -nodefaults -no-user-config -display none -no-reboot)
	if [ "$accel" = kvm ]; then
		PC+=(-accel kvm -cpu host)
	elif [ -n "$icount" ]; then
		PC+=(-accel tcg,thread=single,tb-size=512 -icount shift=1,sleep=off
			-cpu "$LAB_TCG_CPU")
	else
		PC+=(-accel tcg,thread=multi,tb-size=512 -cpu "$LAB_TCG_CPU")
	fi
}

# What may be assigned, behind root ports and an Intel IOMMU. Slots in order give bus numbers in
# order: the third port's device is 0000:03:00.0.
lab_pc_intel()
{
	PC+=(-device intel-iommu,intremap=on
		-device pcie-root-port,id=rp1,bus=pcie.0,addr=02.0,chassis=1,slot=1
		-device pcie-root-port,id=rp2,bus=pcie.0,addr=03.0,chassis=2,slot=2
		-device pcie-root-port,id=rp3,bus=pcie.0,addr=04.0,chassis=3,slot=3
		-device pcie-root-port,id=rp4,bus=pcie.0,addr=05.0,chassis=4,slot=4
		-device pcie-root-port,id=spare,bus=pcie.0,addr=06.0,chassis=5,slot=5
		-device nvme,id=nvme,bus=rp1,drive=disk,serial=vfio-lab
		-device edu,id=edu,bus=rp2
		-device e1000e,id=nic,bus=rp3,netdev=net0,mac=52:54:00:1a:b0:01
		-device pcie-pci-bridge,id=bridge,bus=rp4
		-device e1000-82545em,id=pair0,bus=bridge,addr=01.0,netdev=net2,mac=52:54:00:1a:b0:03
		-device edu,id=pair1,bus=bridge,addr=02.0)
	LAB_ADDRESSES=(LAB_NVME=0000:01:00.0 LAB_EDU=0000:02:00.0 LAB_NIC=0000:03:00.0
		LAB_PAIR='0000:05:01.0 0000:05:02.0' LAB_E1000=0000:00:10.0)
}

# With QEMU 7.2's AMD IOMMU, DMA from behind a root port is lost: everything is on the root bus.
# The pair is one multi-function device without ACS.
lab_pc_amd()
{
	PC+=(-device amd-iommu,intremap=on
		-device nvme,id=nvme,bus=pcie.0,addr=11.0,drive=disk,serial=vfio-lab
		-device edu,id=edu,bus=pcie.0,addr=12.0
		-device e1000e,id=nic,bus=pcie.0,addr=13.0,netdev=net0,mac=52:54:00:1a:b0:01
		-device e1000-82545em,id=pair0,bus=pcie.0,addr=14.0,multifunction=on,netdev=net2,mac=52:54:00:1a:b0:03
		-device edu,id=pair1,bus=pcie.0,addr=14.1)
	LAB_ADDRESSES=(LAB_NVME=0000:00:11.0 LAB_EDU=0000:00:12.0 LAB_NIC=0000:00:13.0
		LAB_PAIR='0000:00:14.0 0000:00:14.1' LAB_E1000=0000:00:10.0)
}

# The networks are closed: DHCP, the gateway 10.0.2.2 and its TFTP server answer, nothing of the
# host or beyond can be reached.
lab_pc_common()
{
	local disk tftp net

	disk=$(lab_escape "$1") tftp=$(lab_escape "$2")
	PC+=(-drive "id=disk,if=none,format=raw,snapshot=on,file=$disk")
	for net in net0 net1 net2; do
		PC+=(-netdev "user,id=$net,restrict=on,ipv6=off,tftp=$tftp")
	done
	PC+=(-device e1000,id=intx,bus=pcie.0,addr=10.0,netdev=net1,mac=52:54:00:1a:b0:02)
}

# lab_pc_share TAG SLOT DIR [readonly]: a directory of the host for the lab, by virtio-9p.
lab_pc_share()
{
	local tag=$1 slot=$2 dir

	dir=$(lab_escape "$3")
	PC+=(-fsdev "local,id=$tag,path=$dir,security_model=none,multidevs=remap${4:+,readonly=on}"
		-device "virtio-9p-pci,fsdev=$tag,mount_tag=$tag,bus=pcie.0,addr=$slot,disable-legacy=on")
}

# lab_pc_serial RUN TERMINAL: console to a file, COMMAND's output, QEMU's monitor looped back to
# the third port through a socket of QEMU's own; a second monitor on the pipes RUN/hmp.in and .out
# for vfio-lab itself.
lab_pc_serial()
{
	local run terminal=$2

	run=$(lab_escape "$1")
	PC+=(-chardev "file,id=console,path=$run/console.log"
		-device isa-serial,index=0,chardev=console)
	if [ -n "$terminal" ]; then
		PC+=(-chardev stdio,id=out,signal=off)
	else
		PC+=(-chardev "file,id=out,path=$run/out")
	fi
	PC+=(-device isa-serial,index=1,chardev=out
		-chardev "socket,id=mon,path=$run/mon,server=on,wait=off" -mon chardev=mon,mode=control
		-chardev "socket,id=monport,path=$run/mon"
		-device isa-serial,index=2,irq=5,chardev=monport
		-chardev "pipe,id=hmp,path=$run/hmp" -mon chardev=hmp,mode=readline)
}
