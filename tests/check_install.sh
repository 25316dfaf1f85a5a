#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# What `cmake --install` puts down works from there: tools, the lab's scripts, manual pages.

src=${VV_SRC:-$(dirname -- "$(readlink -f -- "$0")")/..}
build=${VV_BUILD:-$src/build}
[ -f "$build/cmake_install.cmake" ] || { echo "SKIP no build at $build"; exit 77; }
prefix=$(mktemp -d "${TMPDIR:-/tmp}/vv-install.XXXXXX") || exit 1
trap 'rm -rf -- "$prefix"' EXIT
failed=0

# check WORDS COMMAND...
check()
{
	local words=$1 out
	shift

	if out=$("$@" 2>&1); then
		echo "ok   $words"
	else
		printf 'FAIL %s\n%s\n' "$words" "$out"
		failed=$((failed + 1))
	fi
}

check "installs" cmake --install "$build" --prefix "$prefix"
for source in "$src"/tools/vfio-*.c; do
	tool=$(basename "$source" .c)
	check "$tool is there and tells its version" "$prefix/bin/$tool" --version
done
check "vfio-lab finds its parts" "$prefix/bin/vfio-lab" --help
check "vfio-lab's parts are all there" diff -r "$src/tools/lab" "$prefix/share/vfio-vmm/lab"
if command -v scdoc >/dev/null; then
	for source in "$src"/docs/man/*.scd; do
		page=$(basename "$source" .scd)
		check "$page is a manual page" grep -q '^\.TH' "$prefix/share/man/man${page##*.}/$page"
	done
fi
[ "$failed" -eq 0 ]
