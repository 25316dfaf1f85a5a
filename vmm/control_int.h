// SPDX-License-Identifier: GPL-2.0-or-later
// Between the control socket's two halves: control.c has the connections, control_cmd.c the
// commands.
#pragma once

#include <jansson.h>

#include "core/cc.h"
#include "vmm/machine.h"

VV_BEGIN_DECLS

/* The answer to one request, a JSON object; a new reference, NULL: out of memory. Under the
 * machine lock. */
json_t *control_execute(struct machine *m, const json_t *request);
json_t *control_error(const char *class_name, const char *desc);
/* A JSON string of text that need not be UTF-8: then its other characters become '?'. */
json_t *control_text(const char *s);

VV_END_DECLS
