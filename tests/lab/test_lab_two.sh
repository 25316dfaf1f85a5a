#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Two labs at once, on a cache that neither finds filled but for the kernel: each has its own PC,
# disk and results.

# shellcheck source=tests/lab/lib.sh
. "$(dirname -- "$(readlink -f -- "$0")")/lib.sh"

lab -- true
check "a lab first, for the kernel" equal "$STATUS" 0
cache=${VFIO_LAB_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/vfio-vmm}
export VFIO_LAB_CACHE=$WORK/cache
mkdir "$VFIO_LAB_CACHE"
ln -s "$cache/kernel-bookworm" "$VFIO_LAB_CACHE/kernel-bookworm"

cat >"$WORK/inside" <<'END'
modprobe nvme
while [ ! -b /dev/nvme0n1 ]; do sleep 0.2; done
echo "mine is $1" | dd of=/dev/nvme0n1 bs=512 count=1 conv=sync oflag=direct status=none
touch "$LAB_RESULTS/$1"
sleep 5
head -c 9 /dev/nvme0n1
ls "$LAB_RESULTS"
END
for n in 1 2; do
	mkdir "$WORK/results/$n"
	"$VFIO_LAB" --timeout 300 --results "$WORK/results/$n" -- bash "$WORK/inside" "$n" \
		>"$WORK/out$n" 2>&1 &
	pids[n]=$!
done
for n in 1 2; do
	wait "${pids[$n]}"
	check "lab $n ended well" equal "$?" 0
	check "lab $n saw its own disk and results" equal "$(cat "$WORK/out$n")" "mine is $n$n"
	check "lab $n left its own result" test -e "$WORK/results/$n/$n"
done
finish
