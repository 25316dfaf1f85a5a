#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Captured machines: what travels in an archive reads like the machine; what identifies it does not
# travel with --redact; hostile archives and folders are refused.
src=${VV_SRC:-$(dirname -- "$(readlink -f -- "$0")")/../../..}
command -v python3 >/dev/null || { echo "SKIP no python3 here"; exit 77; }
exec python3 "$src/tests/unit/inspect/captures.py"
