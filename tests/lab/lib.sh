# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
#
# For the lab's tests. A test is one script that may run on both sides: outside it prepares and
# starts itself in the lab (lab_self), inside (in_lab) it checks. It says each thing it checked
# and ends with finish: exit status 0, 1, or 77 (a skip, with its reason).
#
#   VFIO_LAB    the lab to use (default: the tree's tools/vfio-lab)
#   VV_BUILD    the build directory (default: the tree's build)

HERE=$(CDPATH='' cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)
REPO=$(dirname -- "$(dirname -- "$HERE")")
VFIO_LAB=${VFIO_LAB:-$REPO/tools/vfio-lab}
VV_BUILD=${VV_BUILD:-$REPO/build}
FAILED=0
# For a guest's kernel command line. Linux 7's clocksource watchdog has processors compare their
# TSCs with interrupts off; where they are emulated, and apart, one can wait there for ever.
# shellcheck disable=SC2034 # the tests'
GUEST_WORDS="quiet mitigations=off"
[ "${LAB_TEST_KERNEL:-}" != sid ] || GUEST_WORDS+=" tsc=unstable"

in_lab()
{
	[ -n "${LAB_IOMMU:-}" ]
}

# WORK is a directory of the test's own, the same path on both sides (read-only for the lab: what
# it writes there stays in the lab; what must come out goes to $LAB_RESULTS, outside $WORK/results).
if ! in_lab; then
	WORK=$(mktemp -d "${TMPDIR:-/tmp}/vfio-lab-test.XXXXXX")
	mkdir "$WORK/results"
	trap 'rm -rf -- "$WORK"' EXIT
fi

# check WORDS COMMAND...: one thing, true or not.
check()
{
	local words=$1
	shift

	if "$@"; then
		echo "ok   $words"
	else
		echo "FAIL $words"
		FAILED=$((FAILED + 1))
	fi
}

equal()
{
	[ "$1" = "$2" ] || { echo "     is '$1', should be '$2'"; return 1; }
}

# contains TEXT PATTERN (extended regular expression)
contains()
{
	grep -qE -- "$2" <<<"$1" || { echo "     no '$2' in:"; sed 's/^/     | /' <<<"$1"; return 1; }
}

quiet()
{
	"$@" >/dev/null 2>&1
}

not()
{
	! "$@"
}

skip()
{
	echo "SKIP $*"
	exit 77
}

finish()
{
	[ "$FAILED" -eq 0 ] || { echo "FAILED: $FAILED"; exit 1; }
	echo "PASSED"
	exit 0
}

# lab ARGS...: run the lab with $OUT its output and $STATUS its exit status. What this machine
# can't have (a tool, a kernel's suite) skips the test.
lab()
{
	OUT=$("$VFIO_LAB" "$@" 2>&1)
	STATUS=$?
	! grep -q '^vfio-lab: unavailable:' <<<"$OUT" ||
		skip "$(sed -n 's/^vfio-lab: unavailable: //p' <<<"$OUT")"
}

# lab_self OPTIONS...: this same script inside the lab, its output as it comes; ends the test.
# LAB_TEST_LAB_KERNEL and LAB_TEST_IOMMU choose another lab than the default.
#
# A PC is tried again, three times, where QEMU's emulation of nested SVM is known to fail, under
# whatever VMM (seen with QEMU as the VMM, too): it hangs; its kernel dies of an interrupt that a
# processor with GIF=0 does not take, or has no stack left to say so and triple faults; a guest's
# processor shuts down. What our fault is happens again. Each is said in a line RETRY, which the
# summary of tests/run repeats.
lab_self()
{
	local reason try why

	for try in 1 2 3 4; do
		lab_once "$@"
		why=$(lab_gone_wrong) || break
		echo "RETRY $why (try $try of 4)"
	done
	reason=$(sed -n 's/^vfio-lab: unavailable: //p' "$WORK/stderr")
	[ -z "$reason" ] || skip "$reason"
	[ "$STATUS" -ne 77 ] || exit 77
	check "the lab ended well (exit status $STATUS)" [ "$STATUS" -eq 0 ]
	finish
}

# lab_gone_wrong: how, in words; 1 if the lab is not to blame. A kernel that takes an interrupt in
# __svm_vcpu_run has the guest's GS still: it dies there, or faults again and again on its entry.
lab_gone_wrong()
{
	if [ "$STATUS" -eq 124 ]; then
		echo "the lab hung"
	elif [ "$STATUS" -eq 125 ] && grep -q 'Kernel panic - not syncing' "$WORK/stderr" &&
		grep -qE 'RIP: 0010:(__svm_vcpu_run|error_entry)\+' "$WORK/stderr"; then
		echo "the lab's kernel got an interrupt in spite of GIF=0"
	elif [ "$STATUS" -eq 125 ] && grep -q '^  qemu: Triple fault' "$WORK/stderr"; then
		echo "the lab's processor shut down"
	elif [ "$STATUS" -ne 0 ] && grep -q 'vfio-vmm: error: vCPU [0-9]*: triple fault (rip 0xfff0 ' "$WORK/stdout"; then
		echo "a guest's processor shut down"
	else
		return 1
	fi
}

lab_once()
{
	"$VFIO_LAB" --kernel "${LAB_TEST_LAB_KERNEL:-6.1}" --iommu "${LAB_TEST_IOMMU:-intel}" \
		--timeout "${LAB_TEST_TIMEOUT:-300}" --results "$WORK/results" \
		--env WORK="$WORK" --env VV_BUILD="$VV_BUILD" --env LAB_TEST_KERNEL="${LAB_TEST_KERNEL:-}" "$@" -- \
		"$(readlink -f "$0")" 2> >(tee "$WORK/stderr" >&2) | tee "$WORK/stdout"
	STATUS=${PIPESTATUS[0]}
}

# guest_kernel: LAB_GUEST_KERNEL is the kernel of the guests (LAB_TEST_KERNEL, default 6.1).
guest_kernel()
{
	# shellcheck disable=SC2034 # the test's
	LAB_GUEST_KERNEL=$("$VFIO_LAB" --kernel "${LAB_TEST_KERNEL:-6.1}" --print-kernel 2>"$WORK/err") ||
		skip "$(sed -n 's/^vfio-lab: unavailable: //p' "$WORK/err")"
}

# guest NAME OPTIONS...: the guest's initramfs, $WORK/NAME.
guest()
{
	local name=$1
	shift

	"$REPO/tools/lab/mkguest" --kernel "${LAB_TEST_KERNEL:-6.1}" "$@" "$WORK/$name" || exit 1
}

# The rest is for the inside.

# guest_warnings LOG: the guest's kernel warned of nothing that the lab's own did not; numbers may
# differ. Words about slow clocks are left out: an emulated processor's TSC is unsteady (the lab's
# own kernel has given it up, "Marking TSC unstable"), and its machine may be busy.
guest_warnings()
{
	local words status=0

	dmesg | sed 's/^\[[ 0-9.]*\] //; s/[0-9]\+/N/g' >"$WORK/lab.dmesg"
	sed -n 's/^guest: warning \[[ 0-9.]*\] //p' "$1" | grep -vE '^(clocksource|hrtimer):' >"$WORK/warnings"
	while read -r words; do
		grep -qF -- "$(sed 's/[0-9]\+/N/g' <<<"$words")" "$WORK/lab.dmesg" ||
			{ echo "     guest: $words"; status=1; }
	done <"$WORK/warnings"
	return $status
}

# driver_of BDF: its driver's name, or nothing.
driver_of()
{
	[ ! -e "/sys/bus/pci/devices/$1/driver" ] ||
		basename "$(readlink "/sys/bus/pci/devices/$1/driver")"
}

# give BDF...: to vfio-pci, by hand, as vfio-bind would.
give()
{
	local bdf

	for bdf in "$@"; do
		[ -z "$(driver_of "$bdf")" ] || echo "$bdf" >"/sys/bus/pci/devices/$bdf/driver/unbind"
		echo vfio-pci >"/sys/bus/pci/devices/$bdf/driver_override"
		echo "$bdf" >/sys/bus/pci/drivers_probe
		equal "$(driver_of "$bdf")" vfio-pci || return 1
	done
}

# take_back BDF DRIVER: from vfio-pci to the host's own driver.
take_back()
{
	modprobe "$2" || return 1
	echo "$1" >"/sys/bus/pci/devices/$1/driver/unbind"
	echo >"/sys/bus/pci/devices/$1/driver_override"
	echo "$1" >/sys/bus/pci/drivers_probe
	equal "$(driver_of "$1")" "$2"
}

group_of()
{
	basename "$(readlink "/sys/bus/pci/devices/$1/iommu_group")"
}

# netdev_of BDF: its network interface; nic_works BDF: DHCP and pings with the host's driver.
netdev_of()
{
	ls "/sys/bus/pci/devices/$1/net" 2>/dev/null
}

nic_works()
{
	local interface

	interface=$(netdev_of "$1")
	[ -n "$interface" ] || { echo "     $1 has no network interface"; return 1; }
	cp "$REPO/tools/lab/guest-dhcp" /bin/guest-dhcp
	ln -sf busybox /run/lab/bin/udhcpc
	guest-dhcp "$interface" && busybox ping -c 3 10.0.2.2
}

# disk_of BDF: the block device of an NVMe function's first namespace, once it is there.
disk_of()
{
	local block

	for _ in 1 2 3 4 5 6 7 8 9 10; do
		for block in "/sys/bus/pci/devices/$1/nvme/"nvme*/nvme*n1; do
			[ ! -d "$block" ] || { echo "/dev/${block##*/}"; return; }
		done
		sleep 0.5
	done
	return 1
}

# until_true SECONDS COMMAND...: whether it came true in that time.
until_true()
{
	local end=$((SECONDS + $1))
	shift

	while ! "$@" && [ $SECONDS -lt "$end" ]; do
		sleep 0.2
	done
	"$@"
}

# run_guest VMM MEMORY CPUS KERNEL INITRD WORDS BDF...: a guest with the functions assigned, its
# console on standard output; returns the VMM's exit status. vfio-vmm: BDF may have properties, and
# "pcie-..." is a bridge.
run_guest()
{
	local vmm=$1 memory=$2 cpus=$3 kernel=$4 initrd=$5 words=$6 bdf args=()
	shift 6

	case $vmm in
	qemu)
		for bdf in "$@"; do
			args+=(-device "vfio-pci,host=$bdf")
		done
		qemu-system-x86_64 -accel kvm -M q35 -cpu host -nodefaults -display none -serial stdio \
			-m "$memory" -smp "$cpus" -kernel "$kernel" -initrd "$initrd" -append "$words" \
			"${args[@]}" </dev/null ;;
	vfio-vmm)
		for bdf in "$@"; do
			case $bdf in
			pcie-*) args+=(--device "$bdf") ;;
			*) args+=(--assign "$bdf") ;;
			esac
		done
		"$VV_BUILD/tools/vfio-vmm" --memory "$memory" --cpus "$cpus" --kernel "$kernel" \
			--initrd "$initrd" --cmdline "$words" "${args[@]}" </dev/null ;;
	esac
}
