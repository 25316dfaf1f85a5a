#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Line coverage of the unit, flow and kvm tests: a line a file, worst first, and the sum.
#     tests/coverage.sh [BUILD_DIRECTORY]

set -eu
src=$(CDPATH='' cd -- "$(dirname -- "$(readlink -f -- "$0")")/.." && pwd)
build=${1:-$src/build-coverage}

cmake -S "$src" -B "$build" -G Ninja -DCMAKE_C_COMPILER=gcc -DCMAKE_BUILD_TYPE=Debug \
	-DVV_COVERAGE=ON >"$build.log"
cmake --build "$build" >>"$build.log"
find "$build" -name '*.gcda' -delete
ctest --test-dir "$build" -j"$(nproc)" -L '^(unit|flow|kvm)$' -E '^check_' >>"$build.log" ||
	echo "some tests failed: see $build.log" >&2

# Each object of a library once: what gcov says of our own .c files.
find "$build/CMakeFiles" -name '*.gcda' -print0 | xargs -0 gcov -n 2>/dev/null |
	awk -v src="$src/" '
		/^File / {
			file = substr($0, 7, length($0) - 7)
			ours = index(file, src) == 1 && file ~ /\.c$/
		}
		/^Lines executed:/ && ours {
			split($0, part, /[:% ]+/)
			all = $NF
			printf "%6.1f%% %5d  %s\n", part[3], all, substr(file, length(src) + 1)
			sum += all
			hit += all * part[3] / 100
			ours = 0
		}
		END { if (sum) printf "%6.1f%% %5d  all\n", 100 * hit / sum, sum }' | sort -n
