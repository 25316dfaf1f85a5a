// SPDX-License-Identifier: GPL-2.0-or-later
// "NAME[,PROP=VALUE...]": the argument of --device, --machine and each entry of --accel, made into
// a type and its configuration.
#pragma once

#include "core/cc.h"
#include "core/type.h"
#include "core/verr.h"
#include "vmm/tables.h"

VV_BEGIN_DECLS

/* *ret_cfg is the caller's (props_free), NULL if the type has no configuration. Errors name the
 * argument's part that is wrong, and the nearest name. */
int typearg_machine(const char *arg, const struct machine_type **ret_type, void **ret_cfg,
		    struct verr *reterr);
int typearg_accel(const char *arg, const struct accel_type **ret_type, void **ret_cfg,
		  struct verr *reterr);
/* `common` is zeroed; it gets the bus's properties where the type takes them; the caller clears it
 * (pcidev_common_props), also after a failure. */
int typearg_device(const char *arg, const struct dev_type **ret_type, void **ret_cfg,
		   struct pcidev_common *common, struct verr *reterr);

/* `common` is zeroed, and cleared by the caller (backend_common_props), also after a failure. */
int typearg_backend(enum backend_kind kind, const char *arg, const struct backend_type **ret_type,
		    void **ret_cfg, struct backend_common *common, struct verr *reterr);

/* Only whether it is right: for usage errors before anything is opened. */
int typearg_check_machine(const char *arg, struct verr *reterr);
int typearg_check_device(const char *arg, struct verr *reterr);

VV_END_DECLS
