// SPDX-License-Identifier: GPL-2.0-or-later
//
// Preflight checks of an IOMMU group: what kind it is, who blocks it, who may open it and who has
// it open, and what address ranges firmware has nailed down in it. Reads only.
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/sys.h"
#include "core/text.h"
#include "vfio/bind.h"
#include "vfio/hostproc.h"
#include "vfio/preflight_int.h"
#include "vfio/why.h"

#define PATH_SIZE 512

/* --- blockers -------------------------------------------------------------------------------- */

bool preflight_blocks(const struct hostpci_dev *d)
{
	return d->header_type == 0 && d->driver[0] && strcmp(d->driver, "pci-stub") != 0 &&
	       strcmp(d->driver, "pcieport") != 0 && !preflight_is_vfio_driver(d->driver);
}

static bool in_list(const struct bdf *at, const struct bdf *list, unsigned int n)
{
	for (unsigned int i = 0; i < n; i++) {
		if (bdf_equal(at, &list[i]))
			return true;
	}
	return false;
}

unsigned int preflight_blockers_except(unsigned int group, const struct bdf *skip,
				       unsigned int n_skip, char *text, size_t size)
{
	struct hostpci_dev *v;
	unsigned int found = 0;
	if (size > 0)
		text[0] = '\0';
	int n = hostpci_group(group, &v, NULL);
	if (n < 0)
		return 0;
	for (int i = 0; i < n; i++) {
		char name[BDF_STR_MAX];
		if (!preflight_blocks(&v[i]) || in_list(&v[i].at, skip, n_skip))
			continue;
		bdf_str(&v[i].at, name);
		text_append(text, size, "%s%s is still bound to %s (run: vfio-bind %s)",
			    found ? "; " : "", name, v[i].driver, name);
		found++;
	}
	free(v);
	return found;
}

unsigned int preflight_group_blockers(unsigned int group, char *text, size_t size)
{
	return preflight_blockers_except(group, NULL, 0, text, size);
}

static void check_viable(struct preflight_ctx *c, const struct hostpci_dev *d)
{
	char text[400], fix[64], name[BDF_STR_MAX], merger[96];
	/* The request's own functions have their own verdict. */
	if (preflight_blockers_except(d->group, c->req->bdfs, c->req->n_bdfs, text, sizeof(text)) ==
	    0) {
		preflight_say(c, VERDICT_OK, "group-viable", NULL,
			      "no other function blocks group %u", d->group);
		preflight_evidence(c, "/sys/kernel/iommu_groups/%u/devices", d->group);
		return;
	}
	snprintf(fix, sizeof(fix), "for all at once: vfio-bind --group %s", bdf_str(&d->at, name));
	preflight_say(c, VERDICT_FAIL, "group-viable", fix, "group %u is not viable: %s", d->group,
		      text);
	bool why = preflight_merger(d, merger, sizeof(merger));
	preflight_evidence(c, "/sys/kernel/iommu_groups/%u/devices%s%s", d->group,
			   why ? "; one group because " : "", why ? merger : "");
}

/* A blocker that the host needs: vfio-bind would refuse it as well. */
static void check_blockers_in_use(struct preflight_ctx *c, const struct hostpci_dev *d)
{
	struct hostpci_dev *v;
	char why[256], name[BDF_STR_MAX];
	int n = hostpci_group(d->group, &v, NULL);
	for (int i = 0; i < n; i++) {
		if (!preflight_blocks(&v[i]) || in_list(&v[i].at, c->req->bdfs, c->req->n_bdfs) ||
		    !bind_in_use(&v[i].at, why, sizeof(why)))
			continue;
		preflight_say(c, VERDICT_FAIL, "in-use",
			      "stop that use first, or move one of the cards to another slot",
			      "the host uses %s of the same group: %s", bdf_str(&v[i].at, name),
			      why);
	}
	if (n >= 0)
		free(v);
}

/* --- kind ------------------------------------------------------------------------------------ */

static void group_text(unsigned int group, const char *file, char *buf, size_t size)
{
	char path[PATH_SIZE];
	hostpci_path(path, sizeof(path), "/sys/kernel/iommu_groups/%u/%s", group, file);
	if (sys_read_text(path, buf, size) < 0)
		buf[0] = '\0';
}

/* False: without an IOMMU behind it the rest is moot. */
static bool check_type(struct preflight_ctx *c, unsigned int group)
{
	char text[64];
	group_text(group, "name", text, sizeof(text));
	if (strcmp(text, "vfio-noiommu") == 0) {
		preflight_say(c, VERDICT_FAIL, "group-type", preflight_iommu_fix(),
			      "group %u is VFIO's no-IOMMU mode: nothing would translate a guest's "
			      "addresses or keep its DMA out of the host",
			      group);
		return false;
	}
	group_text(group, "type", text, sizeof(text));
	if (strcmp(text, "identity") == 0)
		preflight_say(c, VERDICT_OK, "group-type", NULL,
			      "group %u is passed through for the host (identity); VFIO will "
			      "translate it",
			      group);
	else if (text[0])
		preflight_say(c, VERDICT_OK, "group-type", NULL, "group %u is translated (%s)",
			      group, text);
	return true;
}

struct reserved {
	struct preflight_ctx *c;
	unsigned int group;
	unsigned int direct;
};

/* "0x000000007b800000 0x000000007fffffff direct" */
static int take_reserved(void *opaque, char *line)
{
	struct reserved *s = (struct reserved *)opaque;
	uint64_t first, last;
	char type[32];
	if (sscanf(line, "%" SCNx64 " %" SCNx64 " %31s", &first, &last, type) != 3)
		return 0;
	/* direct-relaxable (USB, graphics) is one the kernel lets go of. */
	if (strcmp(type, "direct") != 0)
		return 0;
	s->direct++;
	preflight_say(s->c, VERDICT_FAIL, "reserved-regions",
		      "look in the firmware set-up for what uses it (management processor, RMRR), "
		      "or move the device to another slot",
		      "group %u can't be assigned: firmware demands that its devices reach "
		      "%#" PRIx64 "-%#" PRIx64 " directly (RMRR)",
		      s->group, first, last);
	return 0;
}

static void check_reserved(struct preflight_ctx *c, unsigned int group)
{
	char path[64];
	struct reserved s = { .c = c, .group = group };
	snprintf(path, sizeof(path), "/sys/kernel/iommu_groups/%u/reserved_regions", group);
	if (hostproc_lines(path, take_reserved, &s) == 0 && s.direct == 0)
		preflight_say(c, VERDICT_OK, "reserved-regions", NULL,
			      "firmware has no direct mappings in group %u", group);
}

/* --- the device node ------------------------------------------------------------------------- */

static void check_node(struct preflight_ctx *c, const struct hostpci_dev *d)
{
	char node[32], path[PATH_SIZE], owner[96], fix[192], name[BDF_STR_MAX];
	if (!preflight_is_vfio_driver(d->driver))
		return; /* VFIO makes the node when a function of the group is bound */
	snprintf(node, sizeof(node), "/dev/vfio/%u", d->group);
	int r = sys->access(hostpci_path(path, sizeof(path), "%s", node), R_OK | W_OK);
	preflight_node_owner(node, owner, sizeof(owner), NULL);
	if (r == 0) {
		preflight_say(c, VERDICT_OK, "vfio-node", NULL, "%s can be opened", node);
		preflight_evidence(c, "%s: %s", node, owner);
	} else if (r == -EACCES) {
		snprintf(fix, sizeof(fix),
			 "run: chown USER %s; for good: vfio-inspect explain --udev-rule USER %s",
			 node, bdf_str(&d->at, name));
		preflight_say(c, VERDICT_FAIL, "vfio-node", fix,
			      "%s may not be opened: it belongs to %s", node, owner);
	} else {
		preflight_say(c, VERDICT_FAIL, "vfio-node",
			      r == -ENOENT ? "see: dmesg | grep -i vfio" : NULL,
			      "%s can't be opened: %s", node, strerror(-r));
	}
}

static void check_free(struct preflight_ctx *c, unsigned int group)
{
	char node[32], who[128];
	snprintf(node, sizeof(node), "/dev/vfio/%u", group);
	if (vfio_why_holder(node, who, sizeof(who)))
		preflight_say(c, VERDICT_FAIL, "group-free", "stop it first",
			      "group %u is in use by %s", group, who);
	else
		preflight_say(c, VERDICT_OK, "group-free", NULL, "nobody has group %u open", group);
}

/* --- all of it ------------------------------------------------------------------------------- */

/* Whether an earlier function of the request is in the same group; from now on one is. */
static bool group_done(struct preflight_ctx *c, unsigned int group)
{
	for (unsigned int i = 0; i < c->n_groups; i++)
		if (c->groups[i] == group)
			return true;
	c->groups[c->n_groups++] = group;
	return false;
}

void preflight_group(struct preflight_ctx *c, const struct hostpci_dev *d)
{
	char name[BDF_STR_MAX];
	if (d->group == HOSTPCI_NO_GROUP) {
		if (!c->no_iommu)
			preflight_say(
				c, VERDICT_FAIL, "group", NULL,
				"%s has no IOMMU group: no IOMMU stands between it and memory",
				bdf_str(&d->at, name));
		return;
	}
	if (group_done(c, d->group))
		return;
	if (!check_type(c, d->group))
		return;
	check_viable(c, d);
	check_blockers_in_use(c, d);
	preflight_acs(c, d);
	check_reserved(c, d->group);
	check_node(c, d);
	check_free(c, d->group);
}
