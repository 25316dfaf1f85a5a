# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash disable=SC2154
#
# For tests/run: jobs, their results on disk, the summary and the report. A job leaves in the
# results directory
#     JOB.tsv   a line per test: passed|failed|skipped, seconds, name, reason; and
#               one per lab that was tried again: retried, 0, name, reason
#     JOB.log   all that it said
#     JOB.done  revision, date, seconds: written last, so a job that was cut short is not done
# and `machine` says where they come from. Wants $src, $build, $jobs; die from its caller.

CTEST=(ctest)
RESULTS='' REVISION='' TIER='' SHARD_K=1 SHARD_N=1 JOB_COUNT=0
JOBS_RUN=()

say()
{
	printf '== %s\n' "$*"
}

# The commit, and a digest of what is changed since: other contents, other name.
revision()
{
	local head dirty

	head=$(git -C "$src" rev-parse --short=10 HEAD 2>/dev/null) || { echo unknown; return; }
	# The report is this script's own writing and no reason to run anything again.
	dirty=$(cd "$src" && {
		git diff HEAD -- . ':!docs/test-report.md'
		git ls-files -zo --exclude-standard -x /docs/test-report.md | xargs -0r sha256sum
	} | sha256sum)
	[ "${dirty%% *}" = "$(sha256sum </dev/null | cut -d' ' -f1)" ] || head+="+${dirty:0:8}"
	echo "$head"
}

# results_begin DIR TIER SHARD FRESH
results_begin()
{
	RESULTS=$1 TIER=$2 SHARD_K=$((10#${3%/*})) SHARD_N=$((10#${3#*/}))
	REVISION=$(revision)
	# Only --full goes on from what is there.
	[ "$TIER" = full ] && [ -z "$4" ] || rm -rf -- "$RESULTS"
	mkdir -p "$RESULTS" || die "can't make $RESULTS"
	{
		# shellcheck disable=SC1091
		(. /etc/os-release && printf '%s' "$PRETTY_NAME")
		printf ', Linux %s, %s x %s\n' "$(uname -r)" "$(nproc)" \
			"$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1)"
	} >"$RESULTS/machine"
	say "revision $REVISION, tier $TIER${3:+, shard $3}"
}

# Is the next job one of this shard's? Counts it.
in_shard()
{
	JOB_COUNT=$((JOB_COUNT + 1))
	[ $(((JOB_COUNT - 1) % SHARD_N)) -eq $((SHARD_K - 1)) ]
}

# row STATUS SECONDS NAME REASON: one test's result of the job that runs.
row()
{
	printf '%s\t%s\t%s\t%s\n' "$@" >>"$RESULTS/$JOB.tsv"
}

# A job that passed at this revision needs no second run; one that failed does.
is_done()
{
	local rev

	[ -f "$RESULTS/$1.done" ] && read -r rev _ <"$RESULTS/$1.done" &&
		[ "$rev" = "$REVISION" ] && ! grep -q '^failed' "$RESULTS/$1.tsv"
}

# run_job NAME COMMAND...
run_job()
{
	JOB=$1
	local began=$SECONDS
	shift

	JOBS_RUN+=("$JOB")
	if is_done "$JOB"; then
		say "$JOB: done at $(cut -f2 "$RESULTS/$JOB.done")"
		return
	fi
	say "$JOB"
	rm -f "$RESULTS/$JOB".{tsv,done}
	: >"$RESULTS/$JOB.log"
	"$@"
	[ -s "$RESULTS/$JOB.tsv" ] || row failed 0 "$JOB" "the job left no result"
	printf '%s\t%s\t%s\n' "$REVISION" "$(date -u +%Y-%m-%dT%H:%MZ)" $((SECONDS - began)) \
		>"$RESULTS/$JOB.done"
}

# build_tree NAME COMPILER TYPE SANITIZERS: configure and build in $build/NAME.
build_tree()
{
	local began=$SECONDS log=$RESULTS/$JOB.log

	{
		cmake -S "$src" -B "$build/$1" -G Ninja -DCMAKE_C_COMPILER="$2" \
			-DCMAKE_BUILD_TYPE="$3" -DVV_SANITIZE="$4" -DVV_WERROR=ON -DVV_TESTS=ON &&
			cmake --build "$build/$1" -j "$jobs"
	} >>"$log" 2>&1 && {
		echo "   built with $2 $3${4:+ $4} in $((SECONDS - began)) s"
		row passed $((SECONDS - began)) "build $1" ''
		return 0
	}
	row failed $((SECONDS - began)) "build $1" "does not build"
	echo "   FAILED to build with $2 $3${4:+ $4}:"
	grep -E -A6 'error:|CMake Error|FAILED:|undefined reference' "$log" | head -n 80 | grep . ||
		tail -n 20 "$log"
	return 1
}

# run_ctest NAME ARGUMENT...: ctest in $build/NAME; its verdicts as they come, outputs of failures.
run_ctest()
{
	local dir=$build/$1 out=$RESULTS/$JOB.ctest
	shift

	"${CTEST[@]}" --test-dir "$dir" --output-on-failure --no-tests=error "$@" 2>&1 | tee "$out" |
		grep --line-buffered -vE '^ +Start +[0-9]+:|^Internal ctest|^$'
	cat "$dir/Testing/Temporary/LastTest.log" >>"$RESULTS/$JOB.log"
	awk -f "$src/tests/results.awk" "$dir/Testing/Temporary/LastTest.log" "$out" \
		>>"$RESULTS/$JOB.tsv"
	grep -qE '^ *[0-9]+/[0-9]+ Test +#' "$out" || row failed 0 "$JOB" "ctest ran no test"
}

# The long matrices: tests/full/NAME.sh --list names its jobs, a line each; tests/full/NAME.sh JOB
# runs one: exit status 0, 1, or 77 with a line "SKIP reason".
run_matrices()
{
	local script name list matrix_job
	local built=''

	for script in "$src"/tests/full/*.sh; do
		[ -x "$script" ] || continue
		name=$(basename "$script" .sh)
		list=$(VV_BUILD=$build/gcc VV_SRC=$src "$script" --list) || {
			JOB=$name
			run_job "$name" row failed 0 "$name" "--list failed"
			continue
		}
		while read -r matrix_job; do
			[ -n "$matrix_job" ] && in_shard || continue
			# A shard may have none of the jobs that build.
			[ -n "$built" ] || is_done "$name.$matrix_job" || run_job build-gcc \
				build_tree gcc gcc Release ''
			built=1
			run_job "$name.$matrix_job" run_matrix_job "$script" "$name" "$matrix_job"
		done <<<"$list"
	done
}

# run_matrix_job SCRIPT NAME JOB
run_matrix_job()
{
	local began=$SECONDS status words log=$RESULTS/$JOB.log

	VV_BUILD=$build/gcc VV_SRC=$src timeout -k 30 "${VV_MATRIX_TIMEOUT:-7200}" "$1" "$3" \
		>"$log" 2>&1 </dev/null
	status=$?
	sed -n 's/^RETRY //p' "$log" | while read -r words; do
		row retried 0 "$2 $3" "$words"
	done
	case $status in
	0) row passed $((SECONDS - began)) "$2 $3" '' ;;
	77) row skipped $((SECONDS - began)) "$2 $3" \
		"$(sed -n 's/^SKIP:\{0,1\} *//p' "$log" | head -n 1)" ;;
	*) row failed $((SECONDS - began)) "$2 $3" "exit status $status"
		tail -n 60 "$log" ;;
	esac
}

# count FILE STATUS
count()
{
	grep -c "^$2"$'\t' "$1"
}

# The reasons of all skips or failures: list STATUS JOB.tsv...
list_of()
{
	local status=$1 file
	shift

	for file in "$@"; do
		awk -F'\t' -v s="$status" -v job="$(basename "$file" .tsv)" \
			'$1 == s { print "  " job ": " $3 ($4 != "" ? ": " $4 : "") }' "$file"
	done
}

summary()
{
	local job file files=() p=0 f=0 s=0 words

	say "summary: revision $REVISION, $((SECONDS / 60)) min $((SECONDS % 60)) s"
	printf '%-28s %7s %7s %7s %8s\n' job passed failed skipped minutes
	for job in "${JOBS_RUN[@]}"; do
		file=$RESULTS/$job.tsv
		files+=("$file")
		printf '%-28s %7d %7d %7d %8s\n' "$job" "$(count "$file" passed)" \
			"$(count "$file" failed)" "$(count "$file" skipped)" \
			"$(cut -f3 "$RESULTS/$job.done" | awk '{ printf "%.1f", $1 / 60 }')"
		p=$((p + $(count "$file" passed)))
		f=$((f + $(count "$file" failed)))
		s=$((s + $(count "$file" skipped)))
	done
	for words in skipped retried failed; do
		[ ${#files[@]} -gt 0 ] || continue
		list_of "$words" "${files[@]}" | sed "1i $words:"
	done
	echo "$p passed, $f failed, $s skipped"
	[ "$f" -eq 0 ] && [ "$p" -gt 0 ]
}

# report_append RESULTS...: a section of docs/test-report.md from one or more results directories.
report_append()
{
	local dir report=$src/docs/test-report.md

	for dir in "$@"; do
		[ -f "$dir/machine" ] && ls "$dir"/*.done >/dev/null 2>&1 ||
			die "$dir is not the results directory of a run (no machine, no *.done)"
	done
	[ -f "$report" ] || printf '%s\n\n%s\n' '# Test report' \
		'Written by `tests/run --full` and `tests/run --report`; newest last.' >"$report"
	{
		for dir in "$@"; do
			report_section "$dir"
		done
	} >>"$report"
	say "appended to docs/test-report.md"
}

report_section()
{
	local dir=$1 file rev of date seconds job tsv tsvs=()

	read -r rev date _ < <(sort -k2 "$dir"/*.done | tail -n 1)
	printf '\n## %s, revision %s\n\n%s.\n\n' "${date%T*}" "$rev" "$(cat "$dir/machine")"
	printf '| job | passed | failed | skipped | minutes | date |\n|---|--:|--:|--:|--:|---|\n'
	for file in "$dir"/*.done; do
		job=$(basename "$file" .done) tsv=${file%.done}.tsv
		read -r of date seconds <"$file"
		[ "$of" = "$rev" ] || continue # left from an earlier revision
		tsvs+=("$tsv")
		printf '| %s | %d | %d | %d | %s | %s |\n' "$job" "$(count "$tsv" passed)" \
			"$(count "$tsv" failed)" "$(count "$tsv" skipped)" \
			"$(awk -v s="$seconds" 'BEGIN { printf "%.1f", s / 60 }')" "$date"
	done
	for job in Skipped Retried Failed; do
		list_of "${job,}" "${tsvs[@]}" | sed -e '1i '"\\\\n$job:\\n" -e 's/^  /- /'
	done
}
