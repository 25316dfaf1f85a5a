// SPDX-License-Identifier: GPL-2.0-or-later
// What the user says about a function, as property values: ids and class that replace its own
// for the guest, the VF token that opens it, what becomes of a BAR. The host half goes by the
// function's own ids always.

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <linux/pci_regs.h>

#include "vfio/passthru.h"

static int id_parse(void *field, const char *text, uint32_t max, const char *what,
		    struct verr *reterr)
{
	uint64_t n;

	if (strcmp(text, "off") == 0) {
		*(struct passthru_id *)field = (struct passthru_id){ false, 0 };
		return 0;
	}
	int r = parse_u64(text, 0, max, &n, NULL);
	if (r < 0)
		return verr_set(reterr, r, "%s is 0 to %#x, or off", what, max);
	*(struct passthru_id *)field = (struct passthru_id){ true, (uint32_t)n };
	return 0;
}

int passthru_id_parse(void *field, const char *text, struct verr *reterr)
{
	return id_parse(field, text, 0xffff, "a PCI id", reterr);
}

int passthru_class_parse(void *field, const char *text, struct verr *reterr)
{
	return id_parse(field, text, 0xffffff, "a PCI class", reterr);
}

/* RFC 4122: 8-4-4-4-12 hexadecimal digits. */
int passthru_token_parse(void *field, const char *text, struct verr *reterr)
{
	static const char form[] = "00000000-0000-0000-0000-000000000000";
	bool good = strlen(text) == sizeof(form) - 1;

	for (size_t i = 0; good && i < sizeof(form) - 1; i++)
		good = form[i] == '-' ? text[i] == '-' : isxdigit((unsigned char)text[i]) != 0;
	if (!good)
		return verr_set(reterr, -EINVAL,
				"a VF token is a UUID like 00112233-4455-6677-8899-aabbccddeeff");
	memcpy(field, text, sizeof(form));
	return 0;
}

/* A number can only be an address. */
int passthru_bar_parse(void *field, const char *text, struct verr *reterr)
{
	static const char *const words[] = { "direct", "trap", "hide", "host" };
	const char *near = nearest_name(text, words, ARRAY_SIZE(words));
	struct bar_wish w = { .mode = BAR_DIRECT };

	for (unsigned int i = 0; i < ARRAY_SIZE(words); i++) {
		if (strcmp(text, words[i]) != 0)
			continue;
		w.as_host = i > BAR_HIDE;
		w.mode = w.as_host ? BAR_DIRECT : (enum bar_mode)i;
		*(struct bar_wish *)field = w;
		return 0;
	}
	if (isdigit((unsigned char)text[0])) {
		int r = parse_u64(text, GIB(4), UINT64_MAX, &w.at, reterr);
		if (r == 0)
			*(struct bar_wish *)field = w;
		return r;
	}
	return verr_set(reterr, -EINVAL,
			"'%.64s' is none of direct, trap, hide, host and an address%s%s%s", text,
			near ? ": did you mean '" : "", near ? near : "", near ? "'?" : "");
}

static void replace(struct passthru *p, unsigned int off, unsigned int size,
		    const struct passthru_id *id)
{
	if (id->set)
		pcicfg_put(&p->pd.cfg, off, size, id->id);
}

void passthru_ids_apply(struct passthru *p)
{
	const struct passthru_config *cfg = p->pd.dev.cfg;

	replace(p, PCI_VENDOR_ID, 2, &cfg->vendor);
	replace(p, PCI_DEVICE_ID, 2, &cfg->device);
	replace(p, PCI_SUBSYSTEM_VENDOR_ID, 2, &cfg->subvendor);
	replace(p, PCI_SUBSYSTEM_ID, 2, &cfg->subdevice);
	if (cfg->class_code.set) {
		pcicfg_put(&p->pd.cfg, PCI_CLASS_PROG, 1, cfg->class_code.id & 0xff);
		pcicfg_put(&p->pd.cfg, PCI_CLASS_DEVICE, 2, cfg->class_code.id >> 8);
	}
}
