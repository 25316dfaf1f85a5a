# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash disable=SC2034
#
# What every script of the lab shares: messages, the cache directory, the check for host tools.
# Sourced; sets nothing but functions and LAB_DIR, LAB_CACHE, LAB_BUSYBOX.

LAB_DIR=$(CDPATH='' cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)
LAB_CACHE=${VFIO_LAB_CACHE:-${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/vfio-vmm}
LAB_BUSYBOX=${LAB_BUSYBOX:-/bin/busybox}
# modprobe and depmod are not in an ordinary user's PATH.
PATH=$PATH:/usr/sbin:/sbin
LAB_PACKAGES=(qemu-system-x86 busybox-static kmod pciutils xz-utils)

# Every failure of the lab itself is 125, so that COMMAND's own statuses stay its own.
lab_die()
{
	printf '%s: %s\n' "${LAB_PROGRAM:-vfio-lab}" "$*" >&2
	exit 125
}

# The machine-readable way to say "this machine can't have it": tests turn the
# line that starts with "vfio-lab: unavailable:" into a counted skip.
lab_unavailable()
{
	printf 'vfio-lab: unavailable: %s\n' "$*" >&2
	exit 125
}

lab_note()
{
	printf '%s: %s\n' "${LAB_PROGRAM:-vfio-lab}" "$*" >&2
}

# Name every missing tool at once, with the one line that brings them.
lab_need_tools()
{
	local tool missing=()

	for tool in "$@"; do
		command -v "$tool" >/dev/null 2>&1 || missing+=("$tool")
	done
	[ ${#missing[@]} -eq 0 ] ||
		lab_unavailable "missing ${missing[*]}: run 'vfio-lab --setup', or" \
			"'apt-get install --no-install-recommends ${LAB_PACKAGES[*]}'"
}

# A dynamically linked busybox can't run in an initramfs that has no libraries.
lab_need_busybox()
{
	if [ ! -x "$LAB_BUSYBOX" ] || ldd "$LAB_BUSYBOX" 2>/dev/null | grep -q '=>'; then
		lab_unavailable "no static busybox at $LAB_BUSYBOX: run 'vfio-lab --setup', or" \
			"'apt-get install busybox-static'"
	fi
}

lab_setup()
{
	[ "$(id -u)" -eq 0 ] || lab_die "--setup installs packages: run it as root"
	command -v apt-get >/dev/null 2>&1 || lab_die "--setup needs a Debian machine (apt-get)"
	DEBIAN_FRONTEND=noninteractive apt-get -qq update ||
		lab_die "apt-get update failed: check the machine's apt sources"
	DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \
		"${LAB_PACKAGES[@]}" >&2 || lab_die "apt-get could not install ${LAB_PACKAGES[*]}"
}

# lab_locked NAME FUNCTION ARGS...: run it while no other lab runs one of that name.
lab_locked()
{
	local name=$1 fd
	shift

	mkdir -p "$LAB_CACHE" || lab_die "cannot create the cache $LAB_CACHE: set VFIO_LAB_CACHE"
	exec {fd}>"$LAB_CACHE/.lock-$name" || lab_die "cannot write in the cache $LAB_CACHE"
	flock "$fd" || lab_die "cannot lock $LAB_CACHE/.lock-$name"
	"$@" {fd}>&-
	exec {fd}>&-
}
