# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
#
# For the check_*.sh tests: which files there are, and how to end. The tree to check is the one
# this file is in, or the first argument (the self-test gives bad trees).

VV_TREE=$(CDPATH='' cd -- "${1:-$(dirname -- "${BASH_SOURCE[0]}")/..}" && pwd) || exit 2
cd "$VV_TREE" || exit 2
VV_ROOMS=(core pci kvm vfio vmm tools tests)
VV_BAD=0

# tree_files PATTERN...: files of the tree whose name matches one, sorted.
tree_files()
{
	local rooms=() room tests=() pattern

	for room in "${VV_ROOMS[@]}"; do
		[ ! -d "$room" ] || rooms+=("$room")
	done
	for pattern in "$@"; do
		tests+=(-o -name "$pattern")
	done
	[ ${#rooms[@]} -eq 0 ] ||
		find "${rooms[@]}" -type f \( "${tests[@]:1}" \) | LC_ALL=C sort
}

# bad WORDS...: one thing that is wrong, on a line.
bad()
{
	echo "$*"
	VV_BAD=$((VV_BAD + 1))
}

skip()
{
	echo "SKIP $*"
	exit 77
}

need()
{
	command -v "$1" >/dev/null 2>&1 || skip "no $1 here (apt-get install $2)"
}

# finish COUNT WORDS: the verdict over COUNT things; none at all is a mistake of the check.
finish()
{
	if [ "$1" -eq 0 ]; then
		echo "nothing to check in $VV_TREE"
		exit 1
	fi
	if [ "$VV_BAD" -gt 0 ]; then
		echo "$VV_BAD wrong in $1 $2"
		exit 1
	fi
	echo "$1 $2: fine"
	exit 0
}
