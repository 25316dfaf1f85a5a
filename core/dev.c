// SPDX-License-Identifier: GPL-2.0-or-later
//
// The life of a device, driven in order. Owns the device's memory and configuration from dev_new
// to dev_free; knows no device in particular and nothing of the machine that lists them.
#define LOG_TAG "dev"
#include "core/dev.h"

#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "core/log.h"

static int set_id(struct dev *d, const char *id, struct verr *reterr)
{
	static atomic_uint counter;
	if (!id || !*id) {
		snprintf(d->id, sizeof(d->id), "%.48s.%u", d->type->t.name,
			 atomic_fetch_add(&counter, 1));
		return 0;
	}
	size_t len = strlen(id);
	if (len >= sizeof(d->id))
		return verr_set(reterr, -ENAMETOOLONG,
				"id '%.32s...' is longer than %zu characters", id,
				sizeof(d->id) - 1);
	for (const char *p = id; *p; p++) {
		if (!isalnum((unsigned char)*p) && !strchr("-_.:", *p))
			return verr_set(
				reterr, -EINVAL,
				"id '%s' may have letters, digits, '-', '_', '.' and ':' only", id);
	}
	memcpy(d->id, id, len + 1);
	return 0;
}

int dev_new(const struct dev_type *type, const struct platform *plat, const char *id, void *cfg,
	    struct dev **ret, struct verr *reterr)
{
	if (!cfg && type->t.cfg_size > 0)
		cfg = props_new(&type->t);
	struct dev *d = !cfg && type->t.cfg_size > 0 ? NULL : type->alloc();
	if (!d) {
		props_free(&type->t, cfg);
		return verr_set(reterr, -ENOMEM, "out of memory for a %s", type->t.name);
	}
	d->type = type;
	d->plat = plat;
	d->cfg = cfg;
	d->state = DEV_NEW;
	list_init(&d->node);

	int r = set_id(d, id, reterr);
	if (r < 0) {
		dev_free(d);
		return verr_prefix(reterr, r, "%s", type->t.name);
	}
	*ret = d;
	return 0;
}

void dev_free(struct dev *d)
{
	if (!d)
		return;
	if (d->state == DEV_RUNNING)
		dev_stop(d);
	if (d->state == DEV_REALIZED)
		dev_unrealize(d);
	list_del(&d->node);

	const struct dev_type *type = d->type;
	void *cfg = d->cfg;
	d->cfg = NULL;
	type->free(d);
	props_free(&type->t, cfg);
}

int dev_realize(struct dev *d, struct verr *reterr)
{
	assert(d->state == DEV_NEW);
	int r = d->type->ops->realize(d, reterr);
	if (r < 0)
		return verr_prefix(reterr, r, "%s %s", d->type->t.name, d->id);
	d->state = DEV_REALIZED;
	log_debug("%s realized", d->id);
	return 0;
}

void dev_unrealize(struct dev *d)
{
	assert(d->state == DEV_REALIZED);
	d->type->ops->unrealize(d);
	d->state = DEV_NEW;
	log_debug("%s unrealized", d->id);
}

void dev_reset(struct dev *d)
{
	assert(d->state != DEV_NEW);
	if (d->type->ops->reset)
		d->type->ops->reset(d);
}

void dev_reset_begin(struct dev *d)
{
	assert(d->state == DEV_REALIZED);
	if (d->type->ops->reset_begin)
		d->type->ops->reset_begin(d);
}

int dev_start(struct dev *d, struct verr *reterr)
{
	assert(d->state == DEV_REALIZED);
	if (d->type->ops->start) {
		int r = d->type->ops->start(d, reterr);
		if (r < 0)
			return verr_prefix(reterr, r, "%s %s", d->type->t.name, d->id);
	}
	d->state = DEV_RUNNING;
	return 0;
}

void dev_stop(struct dev *d)
{
	assert(d->state == DEV_RUNNING);
	if (d->type->ops->stop)
		d->type->ops->stop(d);
	d->state = DEV_REALIZED;
	d->paused = false;
}

void dev_pause(struct dev *d)
{
	if (d->state != DEV_RUNNING || d->paused)
		return;
	if (d->type->ops->pause)
		d->type->ops->pause(d);
	d->paused = true;
}

void dev_resume(struct dev *d)
{
	if (!d->paused)
		return;
	if (d->type->ops->resume)
		d->type->ops->resume(d);
	d->paused = false;
}

void dev_event(struct dev *d, enum platform_event ev, const char *fmt, ...)
{
	if (!d->plat || !d->plat->event)
		return;
	char text[VERR_MSG_MAX];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	d->plat->event(d->plat->event_opaque, ev, d, text);
}
