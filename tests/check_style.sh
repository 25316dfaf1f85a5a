#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# What docs/coding-style.md asks and no compiler checks: a licence line, a first paragraph, files
# short enough to read, no unbounded or silent library calls, nothing left for later.

# shellcheck source=tests/checklib.sh
. "$(dirname -- "$(readlink -f -- "$0")")/checklib.sh"

MAX_LINES=700

check_file()
{
	local file=$1 lines found

	head -n 2 "$file" | grep -q 'SPDX-License-Identifier: GPL-2.0-or-later' ||
		bad "$file: no SPDX-License-Identifier in its first two lines"
	lines=$(wc -l <"$file")
	[ "$lines" -le "$MAX_LINES" ] || bad "$file: $lines lines; split it ($MAX_LINES at most)"
	found=$(grep -nE '\b(TO''DO|FIX''ME|XX''X|HA''CK)\b' "$file") &&
		bad "$file: unfinished: ${found%%$'\n'*}"
}

check_c()
{
	local file=$1 found

	# A string is not broken for its length: people grep for it.
	found=$(expand -t 8 "$file" | grep -nE '^.{101}' | grep -vm1 '"') &&
		bad "$file: longer than 100 columns: ${found:0:60}..."
	sed -n '2,3p' "$file" | grep -q '^//' ||
		bad "$file: no paragraph after the licence line that says what the file is for"
	[[ $file != tests/* ]] || return
	found=$(grep -nE '\b(strtok|atoi|atol|alloca|gets|sprintf|strcpy|strcat)\(' "$file") &&
		bad "$file: banned call: ${found%%$'\n'*}"
	case $file in
	tools/* | vmm/vmm.c) return ;;
	esac
	found=$(grep -nE '(^|[^.>_[:alnum:]])(exit|_exit|abort)\(' "$file" |
		grep -vE -m1 '^[0-9]+:[[:space:]]*(//|/?\*)') &&
		bad "$file: a library does not end the program: ${found%%$'\n'*}"
}

count=0
while read -r file; do
	count=$((count + 1))
	check_file "$file"
	[[ $file != *.[ch] ]] || check_c "$file"
done < <(tree_files '*.c' '*.h' '*.sh')
finish "$count" files
