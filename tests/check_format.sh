#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Every C file is as .clang-format says. check_format.sh --fix [FILE...] makes it so.

fix=''
if [ "${1:-}" = --fix ]; then
	fix=1
	shift
	mapfile -t files < <([ $# -eq 0 ] || readlink -f -- "$@")
	set --
fi
# shellcheck source=tests/checklib.sh
. "$(dirname -- "$(readlink -f -- "$0")")/checklib.sh"

# Versions differ in what they make of one configuration: Debian 12's is the reference.
need clang-format clang-format
version=$(clang-format --version | grep -oE 'version [0-9]+' | grep -oE '[0-9]+')
[ "$version" = 14 ] || skip "clang-format is version $version; the reference is 14 (Debian 12)"

if [ -n "$fix" ]; then
	[ ${#files[@]} -gt 0 ] || mapfile -t files < <(tree_files '*.c' '*.h')
	clang-format -i --style=file "${files[@]}"
	exit
fi

mapfile -t files < <(tree_files '*.c' '*.h')
while read -r file lines; do
	bad "$file is not formatted (tests/check_format.sh --fix $file), lines $lines"
done < <(printf '%s\n' "${files[@]}" |
	xargs -P "$(nproc)" -n 8 clang-format --dry-run --style=file 2>&1 |
	awk -F: '/: warning: code should be clang-formatted/ && n[$1]++ < 3 {
			lines[$1] = lines[$1] " " $2
		}
		END { for (f in lines) print f lines[f] }' | LC_ALL=C sort)
finish "${#files[@]}" files
