#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The checks themselves: each must refuse a tree with one mistake in it, and name the culprit.

here=$(dirname -- "$(readlink -f -- "$0")")
work=$(mktemp -d "${TMPDIR:-/tmp}/vv-checks.XXXXXX") || exit 1
trap 'rm -rf -- "$work"' EXIT
failed=0 count=0

# A good tree: what every case starts from.
good()
{
	rm -rf "${work:?}"/*
	mkdir -p "$work"/{core,pci,kvm,vfio,vmm/dev,tools,tests}
	cp "$here/../.clang-format" "$work/"
	printf '%s\n' '// SPDX-License-Identifier: GPL-2.0-or-later' '// A header.' '#pragma once' \
		'int f(void);' >"$work/core/a.h"
	for room in pci kvm vfio vmm vmm/dev tools tests; do
		cp "$work/core/a.h" "$work/$room/${room##*/}.h"
	done
	cp "$work/core/a.h" "$work/pci/bdf.h"
	cp "$work/core/a.h" "$work/vfio/passthru.h"
	printf '%s\n' '#!/bin/sh' '# SPDX-License-Identifier: GPL-2.0-or-later' 'echo "$1"' \
		>"$work/tools/script.sh"
}

# put FILE LINE...: a C file of the tree, begun as it should be.
put()
{
	local file=$1
	shift
	printf '%s\n' '// SPDX-License-Identifier: GPL-2.0-or-later' '//' '// A file.' "$@" >"$work/$file"
}

# expect CHECK STATUS PATTERN: what the check says of the tree as it is.
expect()
{
	local out status

	out=$("$here/check_$1.sh" "$work" 2>&1)
	status=$?
	count=$((count + 1))
	[ "$status" -ne 77 ] || { echo "SKIP check_$1: $out"; return; }
	[ "$status" -eq "$2" ] && grep -qE -- "$3" <<<"$out" && return
	echo "FAIL check_$1: status $status, wanted $2 and '$3':"
	sed 's/^/    /' <<<"$out"
	failed=$((failed + 1))
}

# arrow FILE INCLUDED STATUS: an include, allowed (0) or not (1).
arrow()
{
	good
	put "$1" "#include $2"
	if [ "$3" -eq 0 ]; then
		expect layers 0 'fine$'
	else
		expect layers 1 "^$1:4: "
	fi
}

arrow core/x.c '"core/a.h"' 0
arrow core/x.c '"pci/pci.h"' 1
arrow core/x.c '"a.h"' 1
arrow pci/x.c '"core/a.h"' 0
arrow pci/x.c '"vfio/vfio.h"' 1
arrow kvm/x.c '"pci/pci.h"' 1
arrow kvm/x.c '"core/a.h"' 0
arrow vfio/x.c '"pci/bdf.h"' 0
arrow vfio/x.c '"pci/pci.h"' 1
arrow vfio/x.c '"kvm/kvm.h"' 1
arrow vfio/x.c '"vfio/passthru.h"' 1
arrow vfio/passthru_x.c '"pci/pci.h"' 0
arrow vfio/passthru_x.c '"vmm/vmm.h"' 1
arrow vmm/dev/x.c '"pci/pci.h"' 0
arrow vmm/dev/x.c '"vmm/vmm.h"' 1
arrow vmm/dev/x.c '"vfio/vfio.h"' 1
arrow vmm/x.c '"kvm/kvm.h"' 0
arrow vmm/x.c '"tools/tools.h"' 1
arrow vmm/x.c '"tests/tests.h"' 1
arrow tools/x.c '"vmm/vmm.h"' 0
arrow tests/x.c '"tools/tools.h"' 0
arrow tests/x.c '"tests.h"' 0
arrow tests/x.c '"pci.h"' 1
arrow pci/x.c '<pci/pci.h>' 1
arrow pci/hostpci.c '<pci/pci.h>' 0

good
expect headers 0 '^10 headers: fine$'
echo 'struct broken' >>"$work/pci/pci.h"
expect headers 1 '^pci/pci.h does not compile alone in C$'
good
echo 'int g(int class);' >>"$work/pci/pci.h"
expect headers 1 '^pci/pci.h does not compile alone in C\+\+$'
good
sed -i '/pragma/d' "$work/kvm/kvm.h"
expect headers 1 '^kvm/kvm.h has no #pragma once$'

good
expect format 0 'fine$'
echo '   int    h(void) ;' >>"$work/vmm/vmm.h"
expect format 1 '^vmm/vmm.h is not formatted .* lines 4 5|lines 5'

good
expect shell 0 '^1 scripts: fine$'
# shellcheck disable=SC2016
echo 'cd $1' >>"$work/tools/script.sh"
expect shell 1 '^tools/script.sh:4:'

good
put core/x.c 'int x;'
expect style 0 'fine$'
put core/x.c "// FIX""ME: later"
expect style 1 '^core/x.c: unfinished: 4:'
put core/x.c 'void f(void) { exit(1); }'
expect style 1 '^core/x.c: a library does not end the program: 4:'
put core/x.c 'int f(const char *s) { return atoi(s); }'
expect style 1 '^core/x.c: banned call: 4:'
echo 'int x;' >"$work/core/x.c"
expect style 1 '^core/x.c: no SPDX'
good
yes 'int x;' | head -n 701 >>"$work/core/a.h"
expect style 1 '^core/a.h: 705 lines'

echo "$count checks of checks, $failed failed"
[ "$failed" -eq 0 ]
