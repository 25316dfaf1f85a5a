// SPDX-License-Identifier: GPL-2.0-or-later
// Character back ends: where the bytes of a serial port or console go to and come from. One front
// (a device) per back end. Everything under the machine lock; no call here waits for anything
// outside.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "core/cc.h"
#include "core/verr.h"

VV_BEGIN_DECLS

struct chardev;
struct loop;

struct chardev_ops {
	/* Takes up to `len` bytes and says how many. Fewer than offered: the rest is offered again
	 * after front->drained. A back end that makes no progress for CHR_STALL_NS takes
	 * everything and drops it until it moves again: the guest is slowed, never stopped. Not so
	 * with a front that is lossless: its offers wait. */
	size_t (*write)(struct chardev *c, const void *buf, size_t len);
	void (*input_ready)(struct chardev *c); /* the front has room again; may be NULL */
	void (*close)(struct chardev *c); /* writes out what it can within CHR_FLUSH_MS, frees */
};

struct chardev_front {
	size_t (*room)(void *opaque); /* bytes receive() takes right now */
	void (*receive)(void *opaque, const uint8_t *data, size_t len); /* len <= room() */
	void (*drained)(void *opaque);
	/* Somebody came to the other end or left it: chardev.closed changed. May be NULL. */
	void (*opened)(void *opaque);
	bool lossless; /* it can wait: what it wrote is never dropped for want of progress */
};

struct chardev {
	const struct chardev_ops *ops;
	const struct chardev_front *front; /* NULL: input is held back, output taken */
	void *front_opaque;
	bool closed;	 /* nobody is at the other end: what is written is dropped */
	char where[128]; /* what the user connects to: "/dev/pts/3" */
};

#define CHR_STALL_NS UINT64_C(1000000000)
#define CHR_FLUSH_MS 500

/* What a back end may use of its host; borrowed, outliving it. */
struct chr_host {
	struct loop *loop;
	/* The user asked to end the machine at this console. Under the machine lock. */
	void (*quit)(void *opaque, const char *why);
	void *opaque;
	FILE *messages;	 /* where a pty says its name; NULL: nowhere */
	const char *who; /* of whom it says so: "serial port" */
};

/* `spec` is "none", "null", "stdio", "file:PATH", "pty" or "socket:PATH". Returns 0 and *ret NULL for "none":
 * there is no port at all. Errors name the culprit and what is accepted. */
int chr_open(const char *spec, const struct chr_host *host, struct chardev **ret,
	     struct verr *reterr);
/* Checks the spelling only. */
int chr_check(const char *spec, struct verr *reterr);
/* The table for `--serial help`. */
void chr_help(FILE *out);
void chr_close(struct chardev *c); /* NULL allowed; the front must be detached */

void chr_attach(struct chardev *c, const struct chardev_front *front, void *opaque);
void chr_detach(struct chardev *c);
size_t chr_write(struct chardev *c, const void *buf, size_t len);
void chr_input_ready(struct chardev *c);
/* For back ends: sets `closed` and tells the front. */
void chr_set_closed(struct chardev *c, bool closed);

/* A row of the table. `arg` is what follows the colon, NULL if there is no colon. */
struct chr_type {
	const char *name;
	const char *arg_name; /* "PATH", or NULL: takes none */
	const char *desc;
	int (*open)(const char *arg, const struct chr_host *host, struct chardev **ret,
		    struct verr *reterr);
};
extern const struct chr_type chr_stdio_type, chr_file_type, chr_null_type, chr_pty_type,
	chr_socket_type;

VV_END_DECLS
