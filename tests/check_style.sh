#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# What docs/coding-style.md asks and no compiler checks: a licence line, a first paragraph, files
# short enough to read, lines that fit, no unbounded or silent library calls, nothing left for
# later.

# shellcheck source=tests/checklib.sh
. "$(dirname -- "$(readlink -f -- "$0")")/checklib.sh"

# shellcheck disable=SC2016
rules='
function bad(what) { print FILENAME ": " what }
function quote() { return FNR ": " substr($0, 1, 60) }

# Columns, with tabs of 8 and a UTF-8 character for one.
function columns(s,    n, i) {
	gsub(/[\200-\277]/, "", s)
	n = 0
	while ((i = index(s, "\t"))) {
		n += i - 1
		n += 8 - n % 8
		s = substr(s, i + 1)
	}
	return n + length(s)
}

# A call, not a longer name, a member or a word in a comment.
function calls(names) {
	return $0 ~ "(^|[^.>_A-Za-z0-9])(" names ")\\(" && $0 !~ /^[ \t]*(\/\/|\/?\*)/
}

function end_of(file) {
	if (!licence)
		print file ": no SPDX-License-Identifier in its first two lines"
	if (c && !paragraph)
		print file ": no paragraph after the licence line that says what the file is for"
	if (lines > 700)
		print file ": " lines " lines; split it (700 at most)"
}

FNR == 1 {
	if (file != "")
		end_of(file)
	file = FILENAME
	c = file ~ /\.[ch]$/
	licence = paragraph = 0
}
{ lines = FNR }
FNR <= 2 && /SPDX-License-Identifier: GPL-2.0-or-later/ { licence = 1 }
(FNR == 2 || FNR == 3) && /^\/\// { paragraph = 1 }
/(^|[^A-Za-z0-9_])(TO[D]O|FIX[M]E|XX[X]|HA[C]K)([^A-Za-z0-9_]|$)/ { bad("unfinished: " quote()) }
!c { next }
# A string is not broken for its length: people search for it.
length($0) > 50 && !/"/ && columns($0) > 100 { bad("longer than 100 columns: " quote()) }
file ~ /^tests\// { next }
calls("strtok|atoi|atol|alloca|gets|sprintf|strcpy|strcat") { bad("banned call: " quote()) }
file ~ /^tools\// || file == "vmm/vmm.c" { next }
calls("exit|_exit|abort") { bad("a library does not end the program: " quote()) }
END { end_of(file) }
'

mapfile -t files < <(tree_files '*.c' '*.h' '*.sh')
while read -r line; do
	bad "$line"
done < <(LC_ALL=C awk "$rules" "${files[@]}")
finish "${#files[@]}" files
