#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Completion of options and PCI addresses in bash, and in zsh and fish where they are.
src=${VV_SRC:-$(dirname -- "$(readlink -f -- "$0")")/../../..}
build=${VV_BUILD:-$src/build}
tmp=$(mktemp -d "${TMPDIR:-/tmp}/vv-completion.XXXXXX") || exit 1
trap 'rm -rf -- "$tmp"' EXIT
failed=0

# A vfio-inspect whose machine is always the same, and the other tools as they are.
mkdir "$tmp/bin"
ln -s "$build/tools/vfio-bind" "$build/tools/vfio-vmm" "$src/tools/vfio-lab" "$tmp/bin/"
cat >"$tmp/bin/vfio-inspect" <<-END
	#!/bin/sh
	[ "\$1" = complete ] || exec "$build/tools/vfio-inspect" "\$@"
	printf '0000:03:00.0\te1000e\tEthernet controller: Intel 82574L\n'
	printf '0000:03:00.1\t-\tAudio device: Odd (name) \$HOME "x" *\n'
	printf '0001:04:00.0\tnvme\tNVMe: Samsung\n'
END
chmod +x "$tmp/bin/vfio-inspect"
PATH=$tmp/bin:$PATH

# expect SHELL LINE WANT...: what it offers for LINE has all of WANT, a grep pattern each
expect()
{
	local shell=$1 line=$2 want got
	shift 2

	got=$("offers_$shell" "$line")
	for want in "$@"; do
		if [ "${want#!}" != "$want" ]; then
			! grep -qE -- "${want#!}" <<<"$got" && continue
		elif grep -qE -- "$want" <<<"$got"; then
			continue
		fi
		printf 'FAIL %s: "%s" does not give %s but:\n%s\n' "$shell" "$line" "$want" "$got"
		failed=1
		return
	done
	echo "ok   $shell: $line"
}

offers_bash()
{
	bash --norc --noprofile -c '
		. "$1"
		COMP_LINE=$2 COMP_POINT=${#2}
		COMP_WORDBREAKS=$'"' \\t\\n\"\\'><=;|&(:'"'
		_vfio "${2%% *}"
		printf "%s\n" "${COMPREPLY[@]}"' bash "$src/tools/completion/vfio.bash" "$1" 2>&1
}

expect bash 'vfio-bind --dr' '^--dry-run$'
expect bash 'vfio-bind ' '^0000:03:00.0  \(e1000e  Ethernet controller: Intel 82574L\)$' '^0001:04'
expect bash 'vfio-bind 0001' '^0001:04:00.0$'
expect bash 'vfio-bind 0000:03:00.' '^00.0  \(e1000e' '^00.1  ' '!^0001'
expect bash 'vfio-bind 03:00.0' '^00.0$' '!00.1'
expect bash 'vfio-bind --group 0001:' '^04:00.0$'
expect bash 'vfio-vmm --assign 0001' '^0001:04:00.0$'
expect bash 'vfio-vmm --assign=0001' '^0001:04:00.0$'
expect bash 'vfio-vmm --ass' '^--assign$'
expect bash "vfio-vmm --kernel $src/LICEN" '/LICENSE$'
expect bash 'vfio-vmm --reboot e' '^exit$'
expect bash 'vfio-inspect ex' '^explain$'
expect bash 'vfio-inspect show 0001' '^0001:04:00.0$'
expect bash 'vfio-inspect --red' '^--redact$'
expect bash 'vfio-lab --tim' '^--timeout$'

# fish completes a line by itself.
offers_fish()
{
	HOME=$tmp fish --no-config -c "source $src/tools/completion/vfio.fish; complete -C '$1'" 2>&1
}

if command -v fish >/dev/null; then
	expect fish 'vfio-bind --dr' '^--dry-run'
	expect fish 'vfio-bind 00' '^0000:03:00.0.e1000e  Ethernet controller: Intel' '^0001:04:00.0'
	expect fish 'vfio-vmm --assign 0001' '^0001:04:00.0'
	expect fish 'vfio-inspect ' '^explain$' '^html$' '!0001'
	expect fish 'vfio-inspect show 0001' '^0001:04:00.0'
	expect fish "vfio-vmm --kernel $src/LICEN" 'LICENSE'
else
	echo "no fish here"
fi

# zsh completes at a prompt only: a pseudo-terminal of its own zpty, with what it lists.
offers_zsh()
{
	local out
	out=$(HOME=$tmp timeout 20 zsh -f -c '
		zmodload zsh/zpty
		zpty shell "PS1=READY TERM=dumb zsh -f -i"
		zpty -w shell "stty -echo columns 200 2>/dev/null; autoload -U compinit"
		zpty -w shell "fpath=($1 \$fpath); compinit -u -D; setopt auto_list no_list_beep"
		zpty -w shell "bindkey \"^I\" complete-word; zstyle \":completion:*\" list-prompt \"\""
		zpty -w shell "LISTMAX=1000; echo SET\"\"UP"
		zpty -r -m shell line "*SETUP*" || exit 1
		zpty -n -w shell "$2"$'"'\\t'"'
		for quiet in 1 2 3 4 5 6 7 8; do
			sleep 0.2
			while zpty -r -t shell line; do print -r -- "$line"; done
		done
		zpty -d shell' zsh "$src/tools/completion" "$1" 2>&1)
	tr -d '\r\007' <<<"$out"
}

if command -v zsh >/dev/null; then
	expect zsh 'vfio-bind --dr' 'y-run|--dry-run'
	expect zsh 'vfio-bind 0001' ':04'
	expect zsh 'vfio-bind 0000:03:00.' 'Intel 82574L' 'Odd \(name\) \$HOME'
	expect zsh 'vfio-inspect expl' 'ain'
else
	echo "no zsh here"
fi
exit "$failed"
