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

count=0
while read -r file; do
	count=$((count + 1))
	out=$(shellcheck -x -S warning --format=gcc -- "$file") && continue
	bad "$file:"
	sed 's/^/    /' <<<"$out"
done < <(shell_files)
finish "$count" scripts
