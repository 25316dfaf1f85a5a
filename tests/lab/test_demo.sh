#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# tools/demo, the README's first command, does what the README says; and where a step fails it
# says which, and leaves the logs.

# shellcheck source=tests/lab/lib.sh
. "$(dirname -- "$(readlink -f -- "$0")")/lib.sh"
export TMPDIR=$WORK/tmp
mkdir "$TMPDIR"

demo()
{
	OUT=$("$REPO/tools/demo" --build "$VV_BUILD" --timeout "${LAB_TEST_TIMEOUT:-800}" "$@" 2>&1)
	STATUS=$?
	! grep -q 'vfio-lab: unavailable:' <<<"$OUT" ||
		skip "$(sed -n 's/.*vfio-lab: unavailable: //p' <<<"$OUT")"
}

says()
{
	check "$1" contains "$OUT" "$2"
}

demo --frob
check "an unknown argument is wrong usage" equal $STATUS 2
demo
sed 's/^/     | /' <<<"$OUT"
check "exit status 0" equal $STATUS 0
says "the command line, as it is run" \
	'^   \$ vfio-vmm --assign 0000:03:00\.0 --kernel [^ ]+ --initrd [^ ]+$'
says "the guest's driver" '^ +guest: +0000:01:00\.0  8086:10d3  Ethernet controller +driver e1000e$'
says "the guest's address" '^ +guest: eth0 has 10\.0\.2\.15 by DHCP'
says "the guest's pings" '^ +guest: 5 packets transmitted, 5 packets received'
says "the guest's MSI-X interrupts" '^ +guest: +eth0-rx-0 +[1-9][0-9]*, of these [1-9]'
says "given back" '^ +0000:03:00\.0 is back with e1000e$'
says "the host's pings" '^ +3 packets transmitted, 3 packets received'
says "the last words" '^Success: '
check "no colours without a terminal" not grep -q $'\e' <<<"$OUT"
check "nothing is left behind" equal "$(ls -A "$TMPDIR")" ""

# A build directory that CMake can't use.
VV_BUILD=$WORK/no-cmake
mkdir "$VV_BUILD"
echo "no cache of CMake's" >"$VV_BUILD/CMakeCache.txt"
demo
check "what fails is exit status 1" equal $STATUS 1
says "which step" '^FAILED in step 2 of 7: build vfio-vmm'
says "where to look" "^     build\.log$"
check "the log is there" test -s "$TMPDIR"/vfio-demo.*/build.log
finish
