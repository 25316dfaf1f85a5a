#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# tests/run itself, on a small tree: what it counts, how it ends, resume, shards and the report.

here=$(dirname -- "$(readlink -f -- "$0")")
for tool in gcc clang ninja git; do
	command -v "$tool" >/dev/null || { echo "SKIP no $tool here"; exit 77; }
done
work=$(mktemp -d "${TMPDIR:-/tmp}/vv-run.XXXXXX") || exit 1
trap 'rm -rf -- "$work"' EXIT
failed=0

mkdir -p "$work"/{tests/full,tools/lab,docs,bin}
cp "$here"/{run,run_lib.sh,results.awk} "$work/tests/"
cp "$here"/../tools/packages.sh "$work/tools/"
cp "$here"/../tools/lab/lib.sh "$work/tools/lab/"
# Nothing is to be installed here: every package is there, says this dpkg-query.
printf '#!/bin/sh\necho installed\n' >"$work/bin/dpkg-query"
chmod +x "$work/bin/dpkg-query"
export PATH=$work/bin:$PATH

# case_of NAME LABEL COMMAND: a ctest test of the small tree.
case_of()
{
	printf 'add_test(NAME %s COMMAND sh -c [[%s]])\n' "$1" "$3"
	printf 'set_tests_properties(%s PROPERTIES LABELS %s SKIP_RETURN_CODE 77)\n' "$1" "$2"
}

# tree UNIT_COMMAND: the small tree, one of whose tests is UNIT_COMMAND.
tree()
{
	{
		echo 'cmake_minimum_required(VERSION 3.25)'
		echo 'project(small C)'
		echo 'enable_testing()'
		echo 'add_library(one STATIC one.c)'
		case_of good unit true
		case_of changing unit "$1"
		case_of cases flow 'echo no lamp here; echo "[  SKIPPED ] test_inner"; echo "[  PASSED  ] 1 test(s)."'
		case_of race threads true
		case_of device kvm 'echo SKIP no device here; exit 77'
		case_of far lab 'echo RETRY the far one hung'
	} >"$work/CMakeLists.txt"
}

run()
{
	out=$("$work/tests/run" --build "$work/build" "$@" 2>&1)
	status=$?
}

# expect WORDS STATUS PATTERN...: of the last run.
expect()
{
	local words=$1 wanted=$2 pattern
	shift 2

	[ "$status" -eq "$wanted" ] || set -- "$@" "(status $status, should be $wanted)"
	for pattern in "$@"; do
		grep -qE -- "$pattern" <<<"$out" && continue
		echo "FAIL $words: no '$pattern' in:"
		printf '%s\n' "$out" | sed 's/^/    /'
		failed=$((failed + 1))
		return
	done
	echo "ok   $words"
}

echo 'int one(void); int one(void) { return 1; }' >"$work/one.c"
tree true
run --quick
expect "quick: counts, reasons, last line" 0 '^skipped:$' \
	'^  quick: cases:test_inner: no lamp here$' '^4 passed, 0 failed, 1 skipped$'
tree 'echo the words of a failure; exit 1'
run --quick
expect "a failed test fails the run and is shown" 1 'the words of a failure' \
	'^  quick: changing: Failed$' '^3 passed, 1 failed, 1 skipped$'
echo 'int one(void) { return }' >"$work/one.c"
run --quick
expect "what does not build fails" 1 'error: expected expression' \
	'^  quick: build gcc: does not build$' '^0 passed, 1 failed, 0 skipped$'
echo 'int one(void); int one(void) { return 1; }' >"$work/one.c"

tree true
cat >"$work/tests/full/m.sh" <<'END'
#!/bin/sh
case $1 in
--list) printf 'a\nb\nc\n' ;;
a) echo 'RETRY a was tired (try 1 of 4)'; test -d "$VV_BUILD" ;;
b) echo SKIP no second machine; exit 77 ;;
c) test -e "$VV_SRC/c-may-pass" || { echo c is not yet well; exit 3; } ;;
esac
END
chmod +x "$work/tests/full/m.sh"
printf 'build/\nc-may-pass\n' >"$work/.gitignore"
git -C "$work" init -q
git -C "$work" add -A
git -C "$work" -c user.name=t -c user.email=t@example.org commit -qm one

run --full
expect "full: every tier and the matrix" 1 '^== gcc$' '^== asan$' '^== tsan$' '^== lab$' \
	'^== m.a$' 'c is not yet well' '^  m.b: m b: no second machine$' '^  m.c: m c: exit status 3$' \
	'^  gcc: device: no device here$' '^retried:$' '^  lab: far: the far one hung$' \
	'^  m.a: m a: a was tired ' ' 1 failed, '
report=$(cat "$work/docs/test-report.md" 2>&1)
touch "$work/c-may-pass"
run --full
expect "full again: only what failed" 0 '^== gcc: done at 20' '^== m.a: done at' '^== m.c$' \
	' 0 failed, '
out=$report status=0
expect "the report has a dated row a job and the reasons" 0 '^## 20..-..-.., revision ' \
	'^\| m.c \| 0 \| 1 \| 0 \| ' '^- m.b: m b: no second machine$' '^- lab: far: the far one hung$' \
	'^- m.c: m c: exit status 3$'
echo '/* changed */' >>"$work/one.c"
run --full
expect "a change makes all run again" 0 '^== gcc$' '^== m.a$'

rm -rf "$work/build"
run --full --shard 1/2
first=$out
expect "shard 1: its half" 0 '^== gcc$' '^== tsan$' '^== m.a$' '^== m.c$'
run --full --shard 2/2 --build "$work/build2"
expect "shard 2: the other half" 0 '^== asan$' '^== lab$' '^== m.b$'
out=$(printf '%s\n%s\n' "$first" "$out" | grep -cE '^== (gcc|asan|tsan|lab|m\.[abc])$')
expect "together: each once" 0 '^7$'
rm "$work/docs/test-report.md"
printf 'earlier\t2026-01-01T00:00Z\t5\n' >"$work/build2/results/m.z.done"
printf 'failed\t5\tm z\tof long ago\n' >"$work/build2/results/m.z.tsv"
run --report "$work/build/results" "$work/build2/results"
out=$(cat "$work/docs/test-report.md")
expect "the shards' report is one table of each" 0 '^\| gcc \| ' '^\| m.b \| '
out=$(grep -c 'm.z' "$work/docs/test-report.md")
expect "nothing in it of an earlier revision" 0 '^0$'
run --report "$work"
expect "no results directory: said" 2 'is not the results directory'
for arguments in --nonsense --shard "--shard 1/2" "--full --shard 3/2" "--full --shard x" "--jobs 0"; do
	# shellcheck disable=SC2086
	run $arguments
	expect "'$arguments' is refused" 2 '^tests/run: '
done
[ "$failed" -eq 0 ]
