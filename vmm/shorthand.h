// SPDX-License-Identifier: GPL-2.0-or-later
// Options that stand for a device and its back end: "--net tap=tap0,mac=..." is exactly
// "--netdev tap,id=net0,ifname=tap0 --device virtio-net,netdev=net0,mac=...". A row in
// vmm/options.c gives such an option its name and help, a struct shorthand its meaning.
#pragma once

#include <stdbool.h>

#include "core/cc.h"
#include "core/verr.h"
#include "vmm/backend/backends.h"

VV_BEGIN_DECLS

/* What the value starts with, and the back end that it means: "tap=X" is type "tap" with
 * ifname=X; "user" (prop NULL) is a word alone. */
struct shorthand_form {
	const char *word, *type, *prop;
};

struct shorthand {
	const char *device; /* "virtio-net" */
	/* Without a back end all of these are NULL, and the value is the device's properties. */
	const char *link;		    /* its property that names the back end: "netdev" */
	const char *id;			    /* back ends are called net0, net1, ...: "net" */
	const struct shorthand_form *forms; /* ended by a word of NULL */
	enum backend_kind kind;
};

/* Properties of the value that the back end's type has and the device's has not go to the back
 * end, the rest to the device; whether they are right is for typearg.h to say. `n` numbers the
 * back end. Both results are allocated; *ret_backend is NULL if there is none. */
int shorthand_expand(const struct shorthand *s, const char *option, const char *value,
		     unsigned int n, char **ret_backend, char **ret_device, struct verr *reterr);

VV_END_DECLS
