// SPDX-License-Identifier: GPL-2.0-or-later
// What the tests of binding share: the lab's host on the fake kernel, and one call of bind or
// restore with its narration. Included by one test each, after cmocka.h.
#pragma once

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/cc.h"
#include "tests/fake/fake_dev.h"
#include "tests/fake/fake_host.h"
#include "tests/fake/fake_sys.h"
#include "tests/fake/fake_zoo.h"
#include "vfio/bind.h"

#define NVME  "0000:01:00.0"
#define NIC   "0000:03:00.0"
#define GPU   "0000:05:00.0"
#define AUDIO "0000:05:00.1"
#define LOCK  BIND_JOURNAL_DIR "/lock"

/* --- set-up ---------------------------------------------------------------------------------- */

static void lab_host(void *opaque)
{
	(void)opaque;
	fake_zoo_lab();
	/* The lock file stays for ever: it is no leak. */
	fake_file_set(LOCK, "");
	fake_file_set("/proc/sys/kernel/random/boot_id", "1111-2222\n");
	fake_mark();
}

ATTR_UNUSED static int begin(void **state)
{
	(void)state;
	fake_reset();
	lab_host(NULL);
	return 0;
}

static struct bdf bdf_of(const char *text)
{
	struct bdf b;
	if (bdf_parse(text, &b, NULL) < 0)
		abort();
	return b;
}

ATTR_UNUSED static const char *driver_of(const char *bdf)
{
	return fake_dev_driver(fake_dev_find(bdf));
}

ATTR_UNUSED static const char *override_of(const char *bdf)
{
	const char *text = fake_dev_override(fake_dev_find(bdf));
	return text ? text : "";
}

ATTR_UNUSED static const char *journal_of(const char *bdf)
{
	char path[64];
	snprintf(path, sizeof(path), BIND_JOURNAL_DIR "/bind-%s", bdf);
	return fake_file_read(path);
}

/* What was narrated by the last call of run(). */
static char told[4096];

enum verb { BIND, RESTORE };

ATTR_UNUSED static int run(enum verb verb, const char *const *names, struct bind_opts o,
			   struct verr *err)
{
	struct bdf b[8];
	unsigned int n = 0;
	char *text = NULL;
	size_t size;
	for (; names && names[n]; n++)
		b[n] = bdf_of(names[n]);
	o.out = open_memstream(&text, &size);
	if (!o.out)
		abort();
	int r = verb == BIND ? bind_to_vfio(b, n, &o, err) : bind_restore(b, n, &o, err);
	fclose(o.out);
	snprintf(told, sizeof(told), "%s", text);
	free(text);
	return r;
}

#define NAMES(...) ((const char *const[]){ __VA_ARGS__, NULL })
#define bind_ok(...)                                                                               \
	assert_int_equal(run(BIND, NAMES(__VA_ARGS__), (struct bind_opts){ 0 }, NULL), 0)
#define restored(n, ...)                                                                           \
	assert_int_equal(run(RESTORE, NAMES(__VA_ARGS__), (struct bind_opts){ 0 }, NULL), n)
