#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Every header compiles alone, and twice in a row, in C and in C++ (the tests' own: in C).

# shellcheck source=tests/checklib.sh
. "$(dirname -- "$(readlink -f -- "$0")")/checklib.sh"

CC=${CC:-gcc} CXX=${CXX:-g++}
need "${CC%% *}" gcc
need "${CXX%% *}" g++
read -ra flags <<<"$(pkg-config --cflags libpci libudev jansson cmocka 2>/dev/null)"
flags+=(-I. -D_GNU_SOURCE -DVV_VERSION=\"0\" -Wall -Wextra -Werror -fsyntax-only)

# try WORDS COMMAND...: compiles HEADER on standard input; its words only when it fails.
try()
{
	local words=$1 out
	shift

	out=$(printf '#include "%s"\n#include "%s"\n' "$header" "$header" | "$@" - 2>&1) && return
	bad "$header does not compile alone in $words"
	sed 's/^/    /' <<<"$out" | head -n 12
}

count=0
while read -r header; do
	count=$((count + 1))
	try C "$CC" -xc -std=gnu17 "${flags[@]}"
	[[ $header == tests/* ]] || try C++ "$CXX" -xc++ -std=gnu++17 "${flags[@]}"
	grep -q "^#pragma once" "$header" ||
		bad "$header has no #pragma once"
done < <(tree_files '*.h')
finish "$count" headers
