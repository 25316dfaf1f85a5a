#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The command line of vfio-inspect: output that gets lost is a failure, both spellings of diff and
# watch, and what is said to wrong usage.
src=${VV_SRC:-$(dirname -- "$(readlink -f -- "$0")")/../../..}
build=${VV_BUILD:-$src/build}
command -v python3 >/dev/null || { echo "SKIP no python3 here"; exit 77; }
inspect=$build/tools/vfio-inspect
tmp=$(mktemp -d "${TMPDIR:-/tmp}/vv-cli.XXXXXX") || exit 1
trap 'rm -rf -- "$tmp"' EXIT
root=$tmp/root
failed=0

# try STATUS ERROR ARGUMENTS...: exit status, and one line on standard error that has ERROR in it
try()
{
	local status=$1 error=$2 got
	shift 2

	timeout 20 "$inspect" --root "$root" "$@" >"${out-$tmp/out}" 2>"$tmp/err"
	got=$?
	if [ "$got" -eq "$status" ] && [ "$(wc -l <"$tmp/err")" -eq 1 ] &&
		grep -qF -- "$error" "$tmp/err"; then
		echo "ok   $* -> $got $error"
	else
		echo "FAIL $* -> $got, not $status $error:"
		cat "$tmp/err"
		failed=1
	fi
}

"$src/tests/hosts/hosts.py" make "$src/tests/hosts/desktop-intel.host" "$root" || exit 1
"$inspect" --root "$root" --json >"$tmp/same.json" || exit 1
sed 's/"nvme"/"other"/' "$tmp/same.json" >"$tmp/old.json"

for args in tree "tree --json" "show 02:00.0" "show --json 02:00.0" complete --help --version \
	"html -"; do
	# shellcheck disable=SC2086
	out=/dev/full try 1 "can't write the output" $args
done
out=/dev/full try 1 "/dev/full: No space left on device" html /dev/full
out=/dev/full try 1 "-: No space left on device" capture -
out=/dev/full try 2 "can't write the output" diff "$tmp/old.json"
# Nobody listens: what was to be printed is lost all the same.
"$inspect" --root "$root" >&- 2>"$tmp/err"
[ $? -eq 1 ] && grep -q "can't write the output" "$tmp/err" || { echo "FAIL closed"; failed=1; }
"$inspect" --root "$root" html "$tmp/page.html" >&- || { echo "FAIL page, closed"; failed=1; }

"$inspect" --root "$root" diff "$tmp/old.json" >"$tmp/want"
[ -s "$tmp/want" ] || { echo "FAIL diff tells nothing"; failed=1; }
for args in "--diff $tmp/old.json" "--diff=$tmp/old.json" "tree --diff $tmp/old.json"; do
	# shellcheck disable=SC2086
	"$inspect" $args --root "$root" >"$tmp/out" 2>&1
	[ $? -eq 1 ] && cmp -s "$tmp/out" "$tmp/want" || { echo "FAIL $args"; failed=1; }
done
# In the foreground timeout signals once: its second signals and SIGCONT, into the leak check at the
# end of an ASan build, now and then stop that for good.
for args in "--every 0.2 --watch" "tree --watch --json"; do
	# shellcheck disable=SC2086
	timeout --foreground -k 10 3 "$inspect" $args --root "$root" >"$tmp/out" 2>"$tmp/err"
	grep -q "^vfio-inspect: watching the events of" "$tmp/err" && [ ! -s "$tmp/out" ] ||
		{ echo "FAIL $args"; cat "$tmp/err"; failed=1; }
done

try 2 "there is no command bogus; there are: tree, show" bogus
try 2 "run: vfio-inspect show 02:00.0" 02:00.0
try 2 "show: no PCI function named" show
try 2 "'zzz' is not a PCI address" show zzz
try 1 "there is no PCI function 0000:09:00.0 (the nearest is 0000:02:00.0)" show 09:00.0
try 2 "tree takes no operands" tree 02:00.0
try 2 "watch takes no operands" show 02:00.0 --watch
try 2 "diff: no file named" --diff
try 2 "html takes one file" html a b
try 2 "capture: the name of the file is empty" capture ""
try 2 "--root: the name of the file is empty" --root "" tree
try 2 "$tmp/none.json: No such file or directory" diff "$tmp/none.json"
try 2 "/etc/passwd is no output of vfio-inspect --json" diff /etc/passwd
try 2 "--every takes seconds, from 0.1 to a day, not 0" watch --every 0
try 2 "--color takes auto, always or never, not purple" --color purple
try 2 "unknown option --nope" --nope
try 2 "--memory: 'foo' is not a size" explain --memory foo 02:00.0

exit $failed
