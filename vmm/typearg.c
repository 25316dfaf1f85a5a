// SPDX-License-Identifier: GPL-2.0-or-later
// Type arguments (see the header): the one place that turns a NAME and its properties into a
// configuration.

#include "vmm/typearg.h"

#include <errno.h>
#include <string.h>

#define NAME_MAX_LEN 64

static int find(const struct type_desc *const *types, const char *kind, const char *arg,
		const struct type_desc **ret_type, const char **ret_rest, struct verr *reterr)
{
	char name[NAME_MAX_LEN];

	int r = type_split(arg, name, sizeof(name), ret_rest);
	if (r < 0)
		return verr_set(reterr, r, "--%s: name in \"%s\" is too long", kind, arg);
	*ret_type = type_find(types, kind, name, reterr);
	return *ret_type ? 0 : -ENOENT;
}

static int configure(const struct type_desc *t, const char *rest, const struct props_target *more,
		     void **ret_cfg, struct verr *reterr)
{
	void *cfg = t->cfg_size ? props_new(t) : NULL;

	if (t->cfg_size && !cfg)
		return verr_set(reterr, -ENOMEM, "out of memory");
	const struct props_target targets[] = { { t->props, cfg },
						more ? *more
						     : (struct props_target){ NULL, NULL } };
	int r = props_parse(t->name, rest ? rest : "", targets, more ? 2 : 1, reterr);
	if (r < 0) {
		props_free(t, cfg);
		return r;
	}
	*ret_cfg = cfg;
	return 0;
}

int typearg_machine(const char *arg, const struct machine_type **ret_type, void **ret_cfg,
		    struct verr *reterr)
{
	const struct type_desc *t = NULL;
	const char *rest = NULL;

	int r = find((const struct type_desc *const *)machine_types, "machine", arg, &t, &rest,
		     reterr);
	if (r == 0)
		r = configure(t, rest, NULL, ret_cfg, reterr);
	if (r == 0)
		*ret_type = container_of(t, struct machine_type, t);
	return r;
}

int typearg_accel(const char *arg, const struct accel_type **ret_type, void **ret_cfg,
		  struct verr *reterr)
{
	const struct type_desc *t = NULL;
	const char *rest = NULL;

	int r = find((const struct type_desc *const *)accel_types, "accel", arg, &t, &rest, reterr);
	if (r == 0)
		r = configure(t, rest, NULL, ret_cfg, reterr);
	if (r == 0)
		*ret_type = container_of(t, struct accel_type, t);
	return r;
}

int typearg_device(const char *arg, const struct dev_type **ret_type, void **ret_cfg,
		   struct pcidev_common *common, struct verr *reterr)
{
	const struct props_target more = { pcidev_common_props, common };
	const struct type_desc *t = NULL;
	const char *rest = NULL;

	int r = props_defaults(pcidev_common_props, common);
	if (r == 0)
		r = find((const struct type_desc *const *)dev_types, "device", arg, &t, &rest,
			 reterr);
	if (r < 0)
		return r;
	const struct dev_type *type = container_of(t, struct dev_type, t);
	if (!type->user)
		return verr_set(reterr, -EINVAL,
				"device \"%s\" is part of the machine and can't be added", t->name);
	r = configure(t, rest, type->pci ? &more : NULL, ret_cfg, reterr);
	if (r == 0)
		*ret_type = type;
	return r;
}

int typearg_backend(enum backend_kind kind, const char *arg, const struct backend_type **ret_type,
		    void **ret_cfg, struct backend_common *common, struct verr *reterr)
{
	const struct props_target more = { backend_common_props, common };
	const struct type_desc *t = NULL;
	const char *rest = NULL;

	int r = find((const struct type_desc *const *)backend_types[kind], backend_kind_names[kind],
		     arg, &t, &rest, reterr);
	if (r == 0)
		r = configure(t, rest, &more, ret_cfg, reterr);
	if (r == 0)
		*ret_type = container_of(t, struct backend_type, t);
	return r;
}

int typearg_check_machine(const char *arg, struct verr *reterr)
{
	const struct machine_type *type = NULL;
	void *cfg = NULL;

	int r = typearg_machine(arg, &type, &cfg, reterr);
	if (r == 0)
		props_free(&type->t, cfg);
	return r;
}

int typearg_check_device(const char *arg, struct verr *reterr)
{
	const struct dev_type *type = NULL;
	struct pcidev_common common;
	void *cfg = NULL;

	memset(&common, 0, sizeof(common));
	int r = typearg_device(arg, &type, &cfg, &common, reterr);
	if (r == 0)
		props_free(&type->t, cfg);
	props_clear(pcidev_common_props, &common);
	return r;
}
