# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
#
# Debian's stock kernels, fetched once into the cache and never installed. A kernel is a directory
# with vmlinuz, vmlinux (the same, decompressed, when the tools to do so are there), and
# lib/modules/VERSION. The machine's own apt configuration says where Debian is; only the suite is
# replaced. Needs lib.sh. Entry: lab_kernel NAME prints the directory, fetching it if need be.

lab_kernel_suite()
{
	case $1 in
	6.1 | bookworm) echo bookworm ;;
	6.12 | trixie) echo trixie ;;
	sid | unstable) echo sid ;;
	*) return 1 ;;
	esac
}

# The machine's apt source of the Debian archive proper, as one stanza "URI|signed-by".
# Both formats of apt are read; security, updates and third parties are passed over.
lab_apt_archive()
{
	local etc=${LAB_APT_ETC:-/etc/apt} code

	code=$(. /etc/os-release && echo "${VERSION_CODENAME:-sid}")
	{
		cat "$etc"/sources.list.d/*.sources 2>/dev/null
		echo
	} | awk -v code="$code" '
		function flush() {
			if ((" " suites " ") ~ (" " code " ") && uri && (" " comp " ") ~ / main /)
				{ print uri "|" key; exit }
			uri = suites = key = comp = ""
		}
		/^$/ { flush(); next }
		tolower($1) == "uris:" { uri = $2 }
		tolower($1) == "suites:" { $1 = ""; suites = $0 }
		tolower($1) == "components:" { $1 = ""; comp = $0 }
		tolower($1) == "signed-by:" { key = $2 }
		END { flush() }' | grep . && return
	cat "$etc"/sources.list "$etc"/sources.list.d/*.list 2>/dev/null | awk -v code="$code" '
		$1 == "deb" {
			key = ""
			if (match($0, /signed-by=[^] ]*/))
				key = substr($0, RSTART + 10, RLENGTH - 10)
			sub(/\[[^]]*\]/, "")
			if ($3 == code && (" " $0 " ") ~ / main /) { print $2 "|" key; exit }
		}' | grep .
}

# lab_apt DIR ARGS...: an apt tool that reads and writes only DIR.
lab_apt()
{
	local dir=$1 tool=$2
	shift 2

	"$tool" -qq -o Dir::Etc::sourcelist="$dir/lab.sources" -o Dir::Etc::sourceparts=/dev/null \
		-o Dir::State::lists="$dir/lists" -o Dir::Cache="$dir/cache" \
		-o Acquire::Languages=none -o APT::Sandbox::User= -o APT::Update::Error-Mode=any \
		-o APT::Default-Release= -o APT::Architecture=amd64 "$@"
}

# The packages that together are SUITE's kernel: the meta package's dependencies, followed
# through the split that newer suites make (image, binary, modules, base).
lab_kernel_packages()
{
	local dir=$1 todo=(linux-image-amd64) seen=' ' package dep

	while [ ${#todo[@]} -gt 0 ]; do
		package=${todo[0]}
		todo=("${todo[@]:1}")
		case $seen in *" $package "*) continue ;; esac
		seen+="$package "
		for dep in $(lab_apt "$dir" apt-cache show --no-all-versions "$package" |
			sed -n 's/^\(Pre-\)\?Depends: //p' | tr ',|' '\n' | awk '{ print $1 }' |
			grep -E '^linux-(image|binary|modules|base)-[0-9]'); do
			todo+=("$dep")
		done
		[ "$package" = linux-image-amd64 ] || echo "$package"
	done
}

# Decompress the kernel inside a bzImage (boot protocol 2.08: payload offset and length): QEMU and
# vfio-vmm start an ELF kernel by PVH, without emulating the decompressor.
lab_extract_vmlinux()
{
	local image=$1 out=$2 sects offset length magic tool

	sects=$(od -An -tu1 -j497 -N1 "$image")
	offset=$(od -An -tu4 -j584 -N4 "$image")
	length=$(od -An -tu4 -j588 -N4 "$image")
	offset=$((offset + (sects + 1) * 512))
	magic=$(od -An -tx1 -j"$offset" -N4 "$image" | tr -d ' ')
	case $magic in
	fd377a58) tool='xz -qdc' ;;
	28b52ffd) tool='zstd -qdc' ;;
	1f8b*) tool='gzip -qdc' ;;
	*) return 1 ;;
	esac
	# The decompressed size follows the stream: the tools complain of it after writing all.
	tail -c +$((offset + 1)) "$image" | head -c "$length" | $tool >"$out" 2>/dev/null
	[ "$(od -An -tx1 -N4 "$out" | tr -d ' ')" = 7f454c46 ] &&
		[ "$(stat -c %s "$out")" -eq "$(tail -c +$((offset + length - 3)) "$image" |
			od -An -tu4 -N4 | tr -d ' ')" ]
}

lab_kernel_fetch()
{
	local suite=$1 final=$2 tmp archive uri key version

	[ ! -d "$final" ] || return 0
	lab_need_tools apt-get apt-cache dpkg-deb depmod
	archive=$(lab_apt_archive) ||
		lab_unavailable "kernel $suite: no Debian archive in /etc/apt: use --kernel FILE"
	uri=${archive%%|*} key=${archive#*|}
	tmp=$(mktemp -d "$LAB_CACHE/.fetch.XXXXXX") || lab_die "cannot write in $LAB_CACHE"
	# shellcheck disable=SC2064 # the path must stand in the trap: $tmp is gone by then
	trap "rm -rf -- '$tmp'" EXIT
	mkdir -p "$tmp/lists/partial" "$tmp/cache/archives/partial" "$tmp/deb" "$tmp/root"
	printf 'Types: deb\nURIs: %s\nSuites: %s\nComponents: main\n%s' "$uri" "$suite" \
		"${key:+Signed-By: $key
}" >"$tmp/lab.sources"
	lab_note "fetching Debian's $suite kernel (once) into $final"
	lab_apt "$tmp" apt-get update >"$tmp/log" 2>&1 ||
		{ cat "$tmp/log" >&2
		lab_unavailable "kernel $suite: apt-get update failed for $uri: check the network"; }
	lab_kernel_packages "$tmp" >"$tmp/packages"
	grep -q . "$tmp/packages" || lab_unavailable "kernel $suite: $uri has no linux-image-amd64"
	# shellcheck disable=SC2016 # expanded by the inner shell
	(cd "$tmp/deb" && xargs -a "$tmp/packages" bash -c "$(declare -f lab_apt)"'
		lab_apt "$0" apt-get download "$@"' "$tmp") >"$tmp/log" 2>&1 ||
		{ cat "$tmp/log" >&2
		lab_unavailable "kernel $suite: apt-get download failed: check the network"; }
	lab_kernel_unpack "$tmp" || lab_unavailable "kernel $suite: its packages hold no kernel"
	mv -T "$tmp/kernel" "$final" || lab_die "cannot put the kernel in $final"
	version=$(ls "$final/lib/modules")
	lab_note "kernel $suite is $version"
}

# From $tmp/deb to $tmp/kernel, complete.
lab_kernel_unpack()
{
	local tmp=$1 deb version kernel=$1/kernel modules

	for deb in "$tmp"/deb/*.deb; do
		dpkg-deb -x "$deb" "$tmp/root" || return 1
	done
	mkdir -p "$kernel/lib/modules"
	# A suite with merged /usr ships them in /usr/lib.
	for modules in "$tmp"/root/usr/lib/modules/* "$tmp"/root/lib/modules/*; do
		[ -d "$modules/kernel" ] && version=${modules##*/} && break
	done
	[ -n "${version:-}" ] || return 1
	mv "$modules" "$kernel/lib/modules/$version" || return 1
	for image in "$tmp/root/boot/vmlinuz-$version" "$kernel/lib/modules/$version/vmlinuz"; do
		[ -f "$image" ] && cp "$image" "$kernel/vmlinuz" && break
	done
	[ -f "$kernel/vmlinuz" ] || return 1
	cp "$tmp/root/boot/config-$version" "$kernel/config" 2>/dev/null
	depmod -b "$kernel" "$version" || return 1
	lab_extract_vmlinux "$kernel/vmlinuz" "$kernel/vmlinux" || rm -f "$kernel/vmlinux"
	(cd "$tmp/deb" && ls) >"$kernel/packages"
	chmod -R a+rX "$kernel"
}

# lab_kernel NAME: print the directory of a suite's or version's kernel.
lab_kernel()
{
	local suite dir

	suite=$(lab_kernel_suite "$1") ||
		lab_die "unknown kernel '$1': use 6.1, 6.12, sid or the path of a kernel file"
	dir=$LAB_CACHE/kernel-$suite
	[ -d "$dir" ] || (lab_locked "$suite" lab_kernel_fetch "$suite" "$dir") || exit $?
	echo "$dir"
}
