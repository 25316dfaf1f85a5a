// SPDX-License-Identifier: GPL-2.0-or-later
//
// The inventory: the order in which its parts are read, and look-ups in it. What each part means is
// in inv_fn.c, inv_cfg.c, inv_bar.c, inv_iommu.c, inv_acs.c and inv_host.c; how it looks is the
// views'. Owns everything it points to.
#include "tools/inspect/inv.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/sys.h"
#include "tools/inspect/inv_int.h"

char *inv_fn_text(const struct inv_fn *f, const char *file, char *buf, size_t size)
{
	char path[INV_PATH], name[BDF_STR_MAX];
	hostpci_path(path, sizeof(path), "/sys/bus/pci/devices/%s/%s", bdf_str(&f->pci.at, name),
		     file);
	if (sys_read_attr(path, buf, size) < 0)
		buf[0] = '\0';
	inv_clean(buf);
	return buf;
}

uint64_t inv_fn_u64(const struct inv_fn *f, const char *file, uint64_t def)
{
	char text[32], *end;
	inv_fn_text(f, file, text, sizeof(text));
	errno = 0;
	uint64_t v = strtoull(text, &end, 0);
	return errno || end == text || text[0] == '-' ? def : v;
}

bool inv_fn_has(const struct inv_fn *f, const char *file)
{
	char path[INV_PATH], name[BDF_STR_MAX];
	struct stat st;
	hostpci_path(path, sizeof(path), "/sys/bus/pci/devices/%s/%s", bdf_str(&f->pci.at, name),
		     file);
	return sys->stat(path, &st) == 0;
}

char *inv_dup(const char *s, bool *oom)
{
	char *copy = strdup(s);
	if (copy)
		inv_clean(copy);
	else
		*oom = true;
	return copy;
}

static int compare_fn(const void *key, const void *fn)
{
	return bdf_compare((const struct bdf *)key, &((const struct inv_fn *)fn)->pci.at);
}

int inv_find(const struct inv *inv, const struct bdf *at)
{
	if (inv->n_fns == 0)
		return INV_NONE;
	const struct inv_fn *f = (const struct inv_fn *)bsearch(at, inv->fn, inv->n_fns,
								sizeof(*inv->fn), compare_fn);
	return f ? (int)(f - inv->fn) : INV_NONE;
}

int inv_find_group(const struct inv *inv, uint32_t id)
{
	for (unsigned int i = 0; i < inv->n_groups; i++) {
		if (inv->group[i].id == id)
			return (int)i;
	}
	return INV_NONE;
}

static bool wanted(const struct inv_fn *f, const struct bdf *only, unsigned int n_only)
{
	for (unsigned int i = 0; i < n_only; i++) {
		if (bdf_equal(&only[i], &f->pci.at))
			return true;
	}
	return n_only == 0;
}

/* ACS is judged along the whole path, so the bridges above are read in full as well. */
static int read_full(struct inv *inv, unsigned int i)
{
	int r = 0;
	for (int at = (int)i; r == 0 && at != INV_NONE; at = inv->fn[at].parent) {
		if (inv->fn[at].full)
			break;
		inv->fn[at].full = true;
		r = inv_cfg_read(inv, &inv->fn[at]);
	}
	return r;
}

static int read_functions(struct inv *inv, enum inv_detail detail, const struct bdf *only,
			  unsigned int n_only, struct verr *reterr)
{
	struct hostpci_dev *v;
	int n = hostpci_list(&v, reterr), r = 0;
	if (n < 0)
		return n;
	inv->fn = (struct inv_fn *)calloc((size_t)n + 1, sizeof(*inv->fn));
	for (int i = 0; inv->fn && i < n; i++)
		inv->fn[inv->n_fns++].pci = v[i];
	free(v);
	if (!inv->fn)
		return -ENOMEM;

	for (unsigned int i = 0; r == 0 && i < inv->n_fns; i++) {
		struct inv_fn *f = &inv->fn[i];
		f->parent = f->pci.has_parent ? inv_find(inv, &f->pci.parent) : INV_NONE;
		r = inv_fn_read(inv, f);
	}
	for (unsigned int i = 0; r == 0 && detail == INV_FULL && i < inv->n_fns; i++) {
		if (wanted(&inv->fn[i], only, n_only))
			r = read_full(inv, i);
	}
	for (unsigned int i = 0; r == 0 && i < inv->n_fns; i++) {
		if (inv->fn[i].full)
			inv_bar_read(inv, &inv->fn[i]);
	}
	return r;
}

static int read_all(struct inv *inv, enum inv_detail detail, const struct bdf *only,
		    unsigned int n_only, struct verr *reterr)
{
	inv->detail = detail;
	inv_host_read(inv);
	int r = inv_iommus_read(inv);
	if (r == 0)
		r = read_functions(inv, detail, only, n_only, reterr);
	return r == 0 ? inv_groups_read(inv) : r;
}

int inv_read(struct inv *ret, enum inv_detail detail, const struct bdf *only, unsigned int n_only,
	     struct verr *reterr)
{
	struct inv inv = { 0 };
	for (unsigned int i = 0; i < n_only; i++) {
		struct hostpci_dev d; /* for its sentence */
		int r = hostpci_read(&only[i], &d, reterr);
		if (r < 0)
			return r;
	}
	int r = read_all(&inv, detail, only, n_only, reterr);
	if (r < 0) {
		inv_fini(&inv);
		return r == -ENOMEM ? verr_set(reterr, r, "out of memory for the inventory") : r;
	}
	*ret = inv;
	return 0;
}

void inv_fini(struct inv *inv)
{
	if (!inv)
		return;
	for (unsigned int i = 0; i < inv->n_fns; i++) {
		free(inv->fn[i].name);
		free(inv->fn[i].class_name);
		free(inv->fn[i].cfg);
		free(inv->fn[i].cap);
	}
	for (unsigned int i = 0; i < inv->n_groups; i++) {
		free(inv->group[i].fn);
		free(inv->group[i].resv);
	}
	free(inv->fn);
	free(inv->group);
	free(inv->iommu);
	memset(inv, 0, sizeof(*inv));
}
