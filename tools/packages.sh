# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash disable=SC2034
#
# The Debian packages this project needs, and the one way to install those that are missing.
# Sourced by tools/demo and tests/run; what the lab needs is in lab/lib.sh, which is installed
# without the rest of this tree.

# shellcheck source=tools/lab/lib.sh
. "$(dirname -- "${BASH_SOURCE[0]}")/lab/lib.sh"

# To build everything; to check the sources; to test with clang and sanitizers.
PACKAGES_BUILD=(gcc libc6-dev make cmake ninja-build pkg-config
	libpci-dev libudev-dev libjansson-dev liburing-dev libcmocka-dev scdoc)
PACKAGES_CHECK=(g++ clang-format shellcheck git acpica-tools pciutils python3)
PACKAGES_TEST=(python3-jsonschema chromium zsh fish clang libclang-rt-dev llvm iproute2 strace passt)
PACKAGES_LAB=("${LAB_PACKAGES[@]}")

# packages_missing PACKAGE...: those that are not installed, a line each.
packages_missing()
{
	local package

	for package in "$@"; do
		# shellcheck disable=SC2016
		[ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" = installed ] ||
			echo "$package"
	done
}

# packages_install LOG PACKAGE...: install what is missing, apt's words to LOG; says what it does
# (with say, of its caller). Where it can't, one sentence on standard error, and 1.
packages_install()
{
	local log=$1 missing
	shift

	if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
		echo "this is no Debian machine; install by hand what Debian calls: $*" >&2
		return 1
	fi
	mapfile -t missing < <(packages_missing "$@")
	[ ${#missing[@]} -gt 0 ] || return 0
	if [ "$(id -u)" -ne 0 ]; then
		echo "missing packages; run as root:" \
			"apt-get install --no-install-recommends ${missing[*]}" >&2
		return 1
	fi
	say "installing ${missing[*]}"
	{
		export DEBIAN_FRONTEND=noninteractive
		apt-get -qq update && apt-get -y --no-install-recommends install "${missing[@]}"
	} >"$log" 2>&1 </dev/null || {
		tail -n 20 "$log" >&2
		echo "apt-get could not install ${missing[*]} (its words: $log)" >&2
		return 1
	}
}
