#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The zoo of host trees (tests/hosts): golden outputs, and the JSON of each against the schema.
src=${VV_SRC:-$(dirname -- "$(readlink -f -- "$0")")/../../..}
command -v python3 >/dev/null || { echo "SKIP no python3 here"; exit 77; }
exec "$src/tests/hosts/hosts.py" test "$@"
