#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Who may include whom: the layers of docs/architecture.md, enforced from the #include lines.

# shellcheck source=tests/checklib.sh
. "$(dirname -- "$(readlink -f -- "$0")")/checklib.sh"

# room_of FILE: the layer it belongs to.
room_of()
{
	case $1 in
	vfio/passthru* | vfio/quirks*) echo guest-half ;;
	vmm/dev/* | vmm/virtio/* | vmm/backend/*) echo parts ;;
	*) echo "${1%%/*}" ;;
	esac
}

# may ROOM INCLUDED: is the arrow allowed?
may()
{
	case $1:$2 in
	tests:*) true ;;
	*:tests/* | core:tools/* | pci:tools/* | kvm:tools/* | vfio:tools/*) false ;;
	guest-half:tools/* | parts:tools/* | vmm:tools/*) false ;;
	core:core/* | pci:core/* | pci:pci/* | kvm:core/* | kvm:kvm/*) true ;;
	vfio:vfio/passthru* | vfio:vfio/quirks*) false ;;
	vfio:core/* | vfio:vfio/* | vfio:pci/bdf.h | vfio:pci/hostpci.h) true ;;
	guest-half:core/* | guest-half:pci/* | guest-half:vfio/*) true ;;
	parts:core/* | parts:pci/* | parts:vmm/dev/* | parts:vmm/virtio/* | parts:vmm/backend/*) true ;;
	vmm:* | tools:*) true ;;
	*) false ;;
	esac
}

rule_of()
{
	case $1 in
	core) echo "core includes core alone" ;;
	pci) echo "pci includes pci and core" ;;
	kvm) echo "kvm includes kvm and core" ;;
	vfio) echo "vfio's host half includes itself, core, pci/bdf.h and pci/hostpci.h" ;;
	guest-half) echo "vfio's guest half includes vfio, pci and core" ;;
	parts) echo "vmm/dev, vmm/virtio and vmm/backend include one another, pci and core" ;;
	*) echo "$1 includes neither tests nor what is above it" ;;
	esac
}

# `-I<root>` makes <pci/pci.h> mean ours, so libpci and libudev have one door.
check_system()
{
	case $3 in
	pci/pci.h | pci/header.h | pci/types.h | libudev.h)
		[[ $1 == pci/hostpci* ]] || bad "$1:$2: <$3> is for pci/hostpci*.c alone" ;;
	esac
}

check_own()
{
	local file=$1 line=$2 included=$3 room

	room=$(room_of "$file")
	case $included in
	*.c) bad "$file:$line: includes a .c file, $included"; return ;;
	esac
	# A test's fixture may lie beside it.
	[[ $file == tests/* && $included != */* ]] && included=${file%/*}/$included
	if [ ! -f "$included" ]; then
		bad "$file:$line: \"$included\" is no file: includes are rooted at the repository"
	elif ! may "$room" "$included"; then
		bad "$file:$line: may not include $included: $(rule_of "$room")"
	fi
}

count=0
while IFS=: read -r file line text; do
	count=$((count + 1))
	case $text in
	*\"*\"*) text=${text#*\"}; check_own "$file" "$line" "${text%%\"*}" ;;
	*\<*\>*) text=${text#*<}; check_system "$file" "$line" "${text%%>*}" ;;
	esac
done < <(tree_files '*.c' '*.h' '*.def' | xargs -r grep -nE '^[[:space:]]*#[[:space:]]*include' /dev/null)
finish "$count" "include lines"
