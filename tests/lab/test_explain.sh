#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# vfio-inspect explain on real functions: what it says before and after vfio-bind, and that
# vfio-vmm --assign agrees with it, in the same words.

# shellcheck source=tests/lab/lib.sh
. "$(dirname -- "$(readlink -f -- "$0")")/lib.sh"
INSPECT=$VV_BUILD/tools/vfio-inspect
BIND=$VV_BUILD/tools/vfio-bind
VMM=$VV_BUILD/tools/vfio-vmm

# shellcheck disable=SC2317 # called through check
# explain STATUS BDF...: with $OUT its output, lines put together.
explain()
{
	local status=$1
	shift

	OUT=$("$INSPECT" explain "$@" 2>&1)
	equal $? "$status" || { sed 's/^/     | /' <<<"$OUT"; return 1; }
	OUT=$(tr -s ' \n' ' ' <<<"$OUT")
}

# shellcheck disable=SC2317 # called through check
# Plans a guest: preflight, the functions opened, their BARs placed.
vmm()
{
	OUT=$("$VMM" --dry-run "${@/#/--assign=}" 2>&1)
	equal $? "$STATUS" || { sed 's/^/     | /' <<<"$OUT"; return 1; }
}

if in_lab; then
	read -r first second <<<"$LAB_PAIR"
	modprobe e1000e && modprobe e1000

	check "an unbound function won't work" explain 1 "$LAB_NIC"
	check "and why" contains "$OUT" "fail driver $LAB_NIC is bound to e1000e, not to vfio-pci"
	check "and what to do" contains "$OUT" "=> run: vfio-bind $LAB_NIC"
	STATUS=1
	check "vfio-vmm refuses" vmm "$LAB_NIC"
	check "in the same words" contains "$OUT" "$LAB_NIC is bound to e1000e, not to vfio-pci"
	check "bind" quiet "$BIND" "$LAB_NIC"
	check "bound, it will work" explain 0 "$LAB_NIC"
	check "and says so" contains "$OUT" "will work \(guest RAM: 512 MiB\)"
	STATUS=0
	check "vfio-vmm takes it" vmm "$LAB_NIC"

	check "restore" quiet "$BIND" --restore
	check "bind one of a pair" quiet "$BIND" "$second"
	check "a pair half bound won't work" explain 1 "$second"
	check "the other is named" contains "$OUT" "$first is still bound to e1000 "
	check "with the bridge that makes them one group" contains "$OUT" \
		"one group because 0000:[0-9a-f:.]+ (is a bridge to conventional PCI|has no ACS)"
	check "bind both" quiet "$BIND" --group "$second"
	OUT=$("$INSPECT" explain "$first" "$second" 2>&1)
	check "a pair wholly bound works, perhaps with warnings" [ $? -ne 1 ]
	check "and its group is viable" contains "$OUT" "^ok    group-viable"
	grep -E '^(warn|fail)' <<<"$OUT"
	check "nobody: what he may not open" not quiet setpriv --reuid 65534 --regid 65534 \
		--clear-groups "$INSPECT" explain "$second"
	check "a rule for udev" contains \
		"$("$INSPECT" explain --udev-rule root "$second")" \
		"^SUBSYSTEM==\"vfio\", KERNEL==\"$(group_of "$second")\", OWNER=\"root\", MODE=\"0600\"$"
	quiet "$BIND" --restore
	finish
fi

[ -x "$INSPECT" ] || skip "$INSPECT is not built"
lab_self
