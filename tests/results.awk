# SPDX-License-Identifier: GPL-2.0-or-later
#
# What ctest said, as a table: STATUS, SECONDS, NAME, REASON between tabs. Reads LastTest.log first
# (the tests' output: the reasons of skips), then ctest's own output (the verdicts; LastTest.log
# calls a skipped test passed).
#     awk -f results.awk LastTest.log ctest.out

BEGIN { OFS = "\t" }

# First file: what each test said.
FNR == NR && /^[0-9]+\/[0-9]+ Test: / {
	test = $3
	inside = 0
	next
}
FNR == NR && /^Output:$/ { inside = 1; next }
FNR == NR && /^<end of output>$/ { inside = 0; next }
FNR == NR && inside && /^SKIP/ {
	reason[test] = $0
	sub(/^SKIP:? */, "", reason[test])
	next
}
# A lab that was tried again.
FNR == NR && inside && /^RETRY / {
	print "retried", 0, test, substr($0, 7)
	next
}
# cmocka's skipped cases inside a test that passed: each counts, once (the first mention).
FNR == NR && inside && /^\[  SKIPPED \] [A-Za-z_]/ {
	if (!((test, $4) in case_seen)) {
		case_seen[test, $4] = 1
		cases[test] = cases[test] " " $4
		case_reason[test, $4] = last ~ /^(\[|$)/ ? "" : last
	}
	next
}
FNR == NR { last = inside ? $0 : ""; next }

# A line "SKIP reason", or what the case said last.
function why_skipped(one)
{
	if (reason[name] != "")
		return reason[name]
	return case_reason[name, one] != "" ? case_reason[name, one] : "the test gives no reason"
}

# Second file: the verdicts.
/^ *[0-9]+\/[0-9]+ Test +#[0-9]+: / {
	line = $0
	sub(/^ *[0-9]+\/[0-9]+ Test +#[0-9]+: /, "", line)
	name = line
	sub(/[ .].*/, "", name)
	seconds = line
	sub(/ sec.*/, "", seconds)
	sub(/.* /, "", seconds)
	if (line ~ /  Passed  /) {
		print "passed", seconds, name, ""
		n = split(cases[name], skipped, " ")
		for (i = 1; i <= n; i++)
			print "skipped", 0, name ":" skipped[i], why_skipped(skipped[i])
	} else if (line ~ /\*\*\*Skipped/) {
		print "skipped", seconds, name, why_skipped("")
	} else {
		why = line
		sub(/.*\*\*\*/, "", why)
		sub(/ +[0-9.]+ sec.*/, "", why)
		print "failed", seconds, name, why
	}
}
