// SPDX-License-Identifier: GPL-2.0-or-later
// argv -> struct vmm_opts: one table of options serves parsing, --help and the man page's check.
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "core/cc.h"
#include "core/verr.h"
#include "pci/bdf.h"
#include "vmm/backend/backends.h"

VV_BEGIN_DECLS

#define VMM_MAX_DEVICES	 64
#define VMM_MAX_BACKENDS 64

struct vmm_opts {
	const char *kernel, *initrd, *cmdline; /* borrowed from argv */
	const char *serial;
	const char *machine;
	const char *accel;
	const char *control; /* NULL: no control socket */
	const char *trace;
	const char *log;
	uint64_t memory; /* bytes */
	unsigned int cpus;
	bool reboot_restarts;
	bool timing;
	bool dry_run;
	char *devices
		[VMM_MAX_DEVICES]; /* owned; --assign already rewritten to "vfio-pci,host=..." */
	unsigned int n_devices;
	struct vmm_backend_arg {
		enum backend_kind kind;
		char *arg;	       /* owned */
		const void *shorthand; /* options.c's: what it comes from, or NULL */
	} backends[VMM_MAX_BACKENDS];  /* shorthands already rewritten to back end and device */
	unsigned int n_backends;
};

enum options_result {
	OPTIONS_RUN,  /* go on */
	OPTIONS_DONE, /* help or version was printed: exit 0 */
	OPTIONS_BAD,  /* reterr says why: exit 2 */
};

/* "help" asked for anywhere (--help, --device help, --device X,help, --machine help, --accel help,
 * --serial help, --trace help) prints to `out`. */
enum options_result options_parse(int argc, char **argv, struct vmm_opts *ret, FILE *out,
				  struct verr *reterr);
void options_fini(struct vmm_opts *o);
void options_help(FILE *out);

VV_END_DECLS
