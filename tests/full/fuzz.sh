#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Matrix of tests/run --full: every fuzz target for ten minutes (VV_FUZZ_SECONDS), from its corpus,
# under ASan and UBSan. What it finds is left in $VV_BUILD/../fuzz/NAME.found.

set -eu
src=${VV_SRC:?} build=${VV_BUILD:?}/../fuzz

if [ "${1:-}" = --list ]; then
	for target in "$src"/tests/fuzz/fuzz_*.c; do
		[ -f "$target" ] || continue
		target=$(basename "$target" .c)
		echo "${target#fuzz_}"
	done
	exit
fi

name=${1:?usage: fuzz.sh --list | NAME}
cmake -S "$src" -B "$build" -G Ninja -DCMAKE_C_COMPILER=clang -DCMAKE_BUILD_TYPE=RelWithDebInfo \
	-DVV_FUZZ=ON -DVV_SANITIZE=address,undefined -DVV_WERROR=ON
cmake --build "$build" --target "fuzz_$name"
# What is new goes into a corpus of this machine's, the tree's own is read only.
mkdir -p "$build/$name.corpus" "$build/$name.found"
"$build/tests/fuzz_$name" -max_total_time="${VV_FUZZ_SECONDS:-600}" -timeout=10 -rss_limit_mb=2048 \
	-print_final_stats=1 -artifact_prefix="$build/$name.found/" \
	"$build/$name.corpus" "$src/tests/fuzz/corpus/$name"
