#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Every kernel that can be named boots the lab with VFIO and KVM. A suite that can't be had now is
# a skip, if no other fails.

# shellcheck source=tests/lab/lib.sh
. "$(dirname -- "$(readlink -f -- "$0")")/lib.sh"

skipped=
for kernel in ${LAB_TEST_KERNELS:-6.12 sid}; do
	OUT=$("$VFIO_LAB" --kernel "$kernel" --timeout 300 -- \
		bash -c 'uname -r; ls /dev/kvm /dev/vfio/vfio; modprobe e1000e; ls /sys/class/net' 2>&1)
	STATUS=$?
	if grep -q '^vfio-lab: unavailable:' <<<"$OUT"; then
		echo "skip $kernel: $OUT"
		skipped+=" $kernel"
		continue
	fi
	check "$kernel: status" equal "$STATUS" 0
	case $kernel in
	[0-9]*) check "$kernel: version" contains "$OUT" "^${kernel//./\\.}\\." ;;
	*) check "$kernel: newer than 6.12" equal "$(printf '6.13\n%s\n' \
		"$(grep -m 1 '^[0-9]' <<<"$OUT")" | sort -V | head -n 1)" 6.13 ;;
	esac
	check "$kernel: KVM and VFIO" contains "$OUT" '^/dev/kvm' 
	check "$kernel: its modules load" contains "$OUT" '^eth0'
done
[ -z "$skipped" ] || [ "$FAILED" -gt 0 ] || skip "kernels that can't be had:$skipped"
finish
