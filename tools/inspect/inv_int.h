// SPDX-License-Identifier: GPL-2.0-or-later
// What the files of the inventory share. Not for others.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "core/cc.h"
#include "tools/inspect/inv.h"

VV_BEGIN_DECLS

#define INV_PATH 512

/* A file of the function's sysfs folder: text, "" if there is none; or a number, `def`. */
char *inv_fn_text(const struct inv_fn *f, const char *file, char *buf, size_t size);
uint64_t inv_fn_u64(const struct inv_fn *f, const char *file, uint64_t def);
bool inv_fn_has(const struct inv_fn *f, const char *file);
/* What a terminal would obey and what is no UTF-8 becomes '?': names come from hardware, other
 * people's captures and other users' processes. */
void inv_clean(char *text);
/* strdup, or NULL and `*oom`. */
char *inv_dup(const char *s, bool *oom);

/* inv_fn.c: link, use, names, buses: what every view wants. 0 or -ENOMEM. */
int inv_fn_read(struct inv *inv, struct inv_fn *f);
/* inv_cfg.c: configuration space, capabilities and what they say of interrupts, ACS, SR-IOV. */
int inv_cfg_read(struct inv *inv, struct inv_fn *f);
/* inv_bar.c: resources, and what of them maps directly. After inv_cfg_read(). */
void inv_bar_read(const struct inv *inv, struct inv_fn *f);
/* inv_iommu.c: units, then (functions known) groups. 0 or -ENOMEM. */
int inv_iommus_read(struct inv *inv);
int inv_groups_read(struct inv *inv);
/* inv_acs.c: which bridge merges the group. After all functions. */
void inv_merge_find(const struct inv *inv, struct inv_group *g);
/* inv_host.c: kernel, product, processor, interrupt remapping, device nodes. */
void inv_host_read(struct inv *inv);

VV_END_DECLS
