// SPDX-License-Identifier: GPL-2.0-or-later
// What changed between two of our JSON documents (vfio-inspect.schema.json): IOMMUs by name, groups
// by number, functions by address, the host as one. Documents may come from anybody.
#pragma once

#include <jansson.h>

#include "core/cc.h"
#include "core/verr.h"
#include "tools/inspect/inspect.h"

VV_BEGIN_DECLS

/* A list, in a stable order, of {"change": "appeared"|"vanished"|"changed", "kind": "host"|"iommu"|
 * "group"|"function", "id": string, "name": string} and, for "changed", "field", "old", "new".
 * Fields that only one of both has are no change: the other is less detailed. NULL: no memory. */
json_t *change_list(const json_t *old, const json_t *now);
/* One line of text: "+ 0000:03:00.0 NAME", "- group 5", "~ 0000:03:00.0 driver: e1000e -> (none)".
 * Nothing in it controls a terminal. */
void change_print(const struct inspect *in, const json_t *change);
/* 0, or -EINVAL and why it is no document of ours. */
int change_check(const json_t *doc, const char *file, struct verr *reterr);

VV_END_DECLS
