# SPDX-License-Identifier: GPL-2.0-or-later
# Completion for fish: options as --help lists them, PCI addresses with their names. Loaded for
# vfio-vmm, vfio-bind, vfio-inspect and vfio-lab, whichever comes first.

function __vfio_options
	set -l tool (commandline -poc)[1]
	$tool --help 2>/dev/null | string match -rga '(?:^|[\s,])(--[a-z][a-z-]*)' | sort -u
end

function __vfio_bdfs
	vfio-inspect complete 2>/dev/null | string replace -r '^([^\t]*)\t([^\t]*)\t' '$1\t$2  '
end

function __vfio_after
	contains -- (commandline -poc)[-1] $argv
end

set -l takes_file --kernel --initrd --root --diff diff capture html --results --modules --control

for tool in vfio-vmm vfio-bind vfio-inspect vfio-lab
	complete -c $tool -f
	complete -c $tool -n 'string match -q -- "-*" (commandline -ct)' -a '(__vfio_options)'
	complete -c $tool -n "__vfio_after $takes_file" -F
	complete -c $tool -n '__vfio_after --color' -a 'auto always never'
	complete -c $tool -n '__vfio_after --reboot' -a 'restart exit'
	complete -c $tool -n '__vfio_after --assign' -a '(__vfio_bdfs)'
end
complete -c vfio-bind -n 'not string match -q -- "-*" (commandline -ct)' -a '(__vfio_bdfs)'
complete -c vfio-inspect -n 'test (count (commandline -poc)) -eq 1' \
	-a 'tree show explain capture html diff watch'
complete -c vfio-inspect -n 'test (count (commandline -poc)) -gt 1; and not __vfio_after '"$takes_file" \
	-a '(__vfio_bdfs)'
