#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Matrix of tests/run --full: the slow path of INTx with a split irqchip, in the lab. Not in the CI
# tier: one of its first six runs ended in a guest's triple fault, so far unexplained.

set -eu
src=${VV_SRC:?}

if [ "${1:-}" = --list ]; then
	for n in 1 2 3 4 5 6; do
		echo "split-$n"
	done
	exit
fi
case ${1:?usage: intx.sh --list | split-N} in
split-*) exec "$src/tests/lab/vmm_intx_split.sh" ;;
*) echo "intx.sh: no job '$1'" >&2; exit 1 ;;
esac
