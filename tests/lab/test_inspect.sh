#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# vfio-inspect on real functions: its JSON agrees with lspci -vvv field by field and with the
# schema; with --open it shows what VFIO reports; without privileges it marks what it can't see;
# and it changes nothing.

# shellcheck source=tests/lab/lib.sh
. "$(dirname -- "$(readlink -f -- "$0")")/lib.sh"
INSPECT=$VV_BUILD/tools/vfio-inspect

# What reading could change: power, drivers, overrides.
state()
{
	local dev

	for dev in /sys/bus/pci/devices/*; do
		echo "$dev $(driver_of "${dev##*/}") $(cat "$dev/driver_override" "$dev/enable" \
			"$dev/power_state" "$dev/power/runtime_status")"
	done
}

if in_lab; then
	modprobe e1000e && modprobe nvme
	before=$(state)
	"$INSPECT" --json >"$LAB_RESULTS/inspect.json"
	check "--json ends well" equal $? 0
	"$INSPECT" >"$LAB_RESULTS/tree.txt"
	check "the tree ends well" equal $? 0
	check "nothing changed" equal "$(state)" "$before"
	lspci -D -nn -vvv >"$LAB_RESULTS/lspci.txt" 2>/dev/null
	setpriv --reuid 65534 --regid 65534 --clear-groups "$INSPECT" show "$LAB_NVME" \
		>"$LAB_RESULTS/nobody.txt" 2>&1
	check "without privileges it ends well" equal $? 0
	check "--open of an unbound function fails" \
		not quiet "$INSPECT" show "$LAB_NIC" --open
	give "$LAB_NIC"
	"$INSPECT" show "$LAB_NIC" --open >"$LAB_RESULTS/open.txt" 2>&1
	check "--open ends well" equal $? 0
	exec 3<>"/dev/vfio/$(group_of "$LAB_NIC")"
	"$INSPECT" >"$LAB_RESULTS/held.txt" 3>&-
	exec 3>&-
	take_back "$LAB_NIC" e1000e
	finish
fi

[ -x "$INSPECT" ] || skip "$INSPECT is not built"
command -v lspci >/dev/null || skip "no lspci (apt-get install pciutils)"
command -v python3 >/dev/null || skip "no python3"

# shellcheck disable=SC2317 # called on exit
after()
{
	local r=$WORK/results

	if [ -s "$r/held.txt" ]; then
		check "agrees with lspci" "$HERE/compare_lspci.py" "$r/inspect.json" "$r/lspci.txt"
		check "agrees with the schema" "$REPO/tests/hosts/hosts.py" validate "$r/inspect.json"
		check "no line is wider than 100 columns" not grep -q '.\{101\}' "$r/tree.txt"
		check "groups are judged" grep -qE '^  group [0-9]+.*(viable|bridges only)' "$r/tree.txt"
		check "the IOMMU is named" grep -qE '^IOMMU dmar[0-9]+  Intel VT-d' "$r/tree.txt"
		check "who has a group open is named" grep -qE 'is held by test_inspect.sh \(pid [0-9]+\)' "$r/held.txt"
		check "VFIO's regions" grep -qE '^    BAR 0 +128 KiB rw, mappable 0x0-0x1ffff' "$r/open.txt"
		check "VFIO's interrupts" grep -qE '^    MSI-X +5, ' "$r/open.txt"
		check "usable DMA addresses" grep -qE '^    IOVA +0x0-0xfedfffff' "$r/open.txt"
		check "no privileges, said so" grep -q 'needs root' "$r/nobody.txt"
	fi
	rm -rf -- "$WORK"
	[ "$FAILED" -eq 0 ] || exit 1
}
trap after EXIT
lab_self
