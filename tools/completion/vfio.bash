# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# Completion of vfio-vmm, vfio-bind, vfio-inspect and vfio-lab for bash: options as --help lists
# them, PCI addresses with their names.

# Options and, after the first argument's first word of vfio-inspect, its commands.
_vfio_options()
{
	"$1" --help 2>/dev/null | grep -oE -- '(^|[[:space:],])--[a-z][a-z-]*' | tr -d ' ,'
}

# Addresses that start with $1. Alone, the address; several, each with its name.
_vfio_bdfs()
{
	local cur=$1 prefix=$2 at driver name
	local -a found=()

	while IFS=$'\t' read -r at driver name; do
		# "03:00.0" is 0000:03:00.0
		if [[ $at == "$cur"* ]]; then
			found+=("$prefix$at" "$driver  $name")
		elif [[ ${at#0000:} == "$cur"* ]]; then
			found+=("$prefix${at#0000:}" "$driver  $name")
		fi
	done < <(vfio-inspect complete 2>/dev/null)
	if [ ${#found[@]} -eq 2 ]; then
		COMPREPLY+=("${found[0]}")
		return
	fi
	for ((at = 0; at < ${#found[@]}; at += 2)); do
		# What readline shows; the name goes when the word is complete.
		COMPREPLY+=("$(printf '%s  (%s)' "${found[at]}" "${found[at + 1]}")")
	done
}

# Readline takes the longest common start of the words: with names after them it stops there.
_vfio()
{
	local tool=$1 cur prev line prefix=
	line=${COMP_LINE:0:COMP_POINT}
	COMPREPLY=()
	# Colons divide words for readline, and addresses have them: words here are by blanks.
	cur=${line##*[[:space:]]}
	prev=${line%"$cur"}
	prev=${prev%"${prev##*[![:space:]]}"}
	prev=${prev##*[[:space:]]}

	case $cur in
	--assign=*)
		prefix=--assign= prev=--assign cur=${cur#*=} ;;
	-*)
		mapfile -t COMPREPLY < <(compgen -W "$(_vfio_options "$tool")" -- "$cur")
		return ;;
	esac
	case $prev in
	--kernel | --initrd | --root | --diff | diff | capture | html | --results | --modules | --control)
		mapfile -t COMPREPLY < <(compgen -f -- "$cur")
		compopt -o filenames 2>/dev/null
		return ;;
	--color)
		mapfile -t COMPREPLY < <(compgen -W 'auto always never' -- "$cur")
		return ;;
	--reboot)
		mapfile -t COMPREPLY < <(compgen -W 'restart exit' -- "$cur")
		return ;;
	--assign)
		_vfio_bdfs "$cur" "$prefix" ;;
	*)
		case ${tool##*/} in
		vfio-bind)
			_vfio_bdfs "$cur" "" ;;
		vfio-inspect)
			if [ "$prev" = "$tool" ]; then
				mapfile -t COMPREPLY < <(compgen -W \
					'tree show explain capture html diff watch' -- "$cur")
			else
				_vfio_bdfs "$cur" ""
			fi ;;
		esac ;;
	esac

	# Readline replaces only what is behind the last colon of the word.
	local i head
	if [[ $cur == *:* && $COMP_WORDBREAKS == *:* ]]; then
		head=$prefix${cur%"${cur##*:}"}
		for i in "${!COMPREPLY[@]}"; do
			COMPREPLY[i]=${COMPREPLY[i]#"$head"}
		done
	elif [[ -n $prefix && $COMP_WORDBREAKS == *=* ]]; then
		for i in "${!COMPREPLY[@]}"; do
			COMPREPLY[i]=${COMPREPLY[i]#"$prefix"}
		done
	fi
}

complete -F _vfio vfio-vmm vfio-bind vfio-inspect vfio-lab
