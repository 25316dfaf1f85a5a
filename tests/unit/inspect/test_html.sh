#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The page of `vfio-inspect html` in a real browser: no console errors, search, folding, links, a
# phone's width, names that are markup. One run of Chromium looks at all pages, in frames.
src=${VV_SRC:-$(dirname -- "$(readlink -f -- "$0")")/../../..}
build=${VV_BUILD:-$src/build}
command -v python3 >/dev/null || { echo "SKIP no python3 here"; exit 77; }
browser=$(command -v chromium || command -v chromium-browser) ||
	{ echo "SKIP no chromium here"; exit 77; }
tmp=$(mktemp -d "${TMPDIR:-/tmp}/vv-html.XXXXXX") || exit 1
trap 'rm -rf -- "$tmp"' EXIT

python3 "$src/tests/unit/inspect/html_pages.py" "$src" "$build" "$tmp" || exit 1
timeout 100 "$browser" --headless --no-sandbox --disable-gpu --no-first-run \
	--disable-background-networking --disable-dev-shm-usage --user-data-dir="$tmp/profile" \
	--allow-file-access-from-files --enable-logging=stderr --virtual-time-budget=5000 \
	--dump-dom "file://$tmp/frames.html" >"$tmp/dom" 2>"$tmp/log" ||
	{ echo "FAIL chromium"; tail -n 5 "$tmp/log"; exit 1; }
failed=0
if grep CONSOLE "$tmp/log"; then
	echo "FAIL the console is not empty"
	failed=1
fi
if ! grep -q 'end of checks' "$tmp/dom"; then
	echo "FAIL the checks did not run to their end"
	failed=1
fi
sed -nE 's/<p>((ok  |FAIL) [^<]*).*/\1/p' <(grep -oE '<p>(ok  |FAIL) [^<]*' "$tmp/dom")
! grep -q '<p>FAIL ' "$tmp/dom" || failed=1
exit "$failed"
