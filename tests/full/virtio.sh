#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Matrix of tests/run --full: drivers of virtio devices unbound and bound 50 times, and 2 GiB through
# a network card and back, in the lab.

set -eu
src=${VV_SRC:?}

if [ "${1:-}" = --list ]; then
	printf '%s\n' rebind-disk rebind-all rebind-vsock rebind-console network-2g
	exit
fi
export LAB_TEST_ROUNDS=50 LAB_TEST_TIMEOUT=600
case ${1:?usage: virtio.sh --list | JOB} in
rebind-disk) exec "$src/tests/lab/test_vmm_disk.sh" ;;
rebind-all) exec "$src/tests/lab/test_vmm_virtio.sh" ;;
rebind-vsock) exec "$src/tests/lab/test_vmm_vsock.sh" ;;
rebind-console) exec "$src/tests/lab/test_vmm_console.sh" ;;
network-2g) LAB_TEST_MIB=2048 LAB_TEST_TIMEOUT=3000 exec "$src/tests/lab/test_vmm_vnet.sh" ;;
*) echo "virtio.sh: no job '$1'" >&2; exit 1 ;;
esac
