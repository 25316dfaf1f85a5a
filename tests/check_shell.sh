#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Every shell script passes shellcheck, warnings and errors.

# shellcheck source=tests/checklib.sh
. "$(dirname -- "$(readlink -f -- "$0")")/checklib.sh"
need shellcheck shellcheck

# Scripts by their name or by their first line.
shell_files()
{
	{
		tree_files '*.sh'
		tree_files '*' | xargs -rd '\n' grep -lIE -m1 '^#!.*/(env )?(ba|da)?sh( |$)|^# shellcheck shell='
		[ ! -d .ci ] || find .ci -type f
	} | LC_ALL=C sort -u
}

mapfile -t files < <(shell_files)
while IFS=: read -r file words; do
	bad "$file:$words"
done < <(printf '%s\n' "${files[@]}" |
	xargs -P "$(nproc)" -n 4 shellcheck -x -S warning --format=gcc --)
finish "${#files[@]}" scripts
