// SPDX-License-Identifier: GPL-2.0-or-later
// What the files of bind share. Not for others.
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "core/cc.h"
#include "pci/hostpci.h"
#include "vfio/bind.h"

VV_BEGIN_DECLS

/* --- journal (bind_journal.c) ---------------------------------------------------------------- */

/* What a function was before vfio-bind touched it. */
struct bind_journal {
	struct bdf at;
	char driver[64];   /* "" none */
	char module[64];   /* the module that driver came from; "" built in or unknown */
	char override[64]; /* driver_override; "" none */
	bool bound;	   /* the bind was completed and verified */
	bool stale;	   /* read only: written before this machine's last boot */
};

/* Creates the folder, or checks that only its owner can write to it. */
int bind_journal_folder(struct verr *reterr);
/* Takes the lock that keeps two transactions apart, waiting up to 10 s. *ret_fd is to be closed. */
int bind_journal_lock(int *ret_fd, struct verr *reterr);

/* Replaces the file whole, or leaves the old one. */
int bind_journal_write(const struct bind_journal *j, struct verr *reterr);
/* -ENOENT without a sentence: there is none. -EBADMSG: damaged, the sentence says what to do. */
int bind_journal_read(const struct bdf *at, struct bind_journal *ret, struct verr *reterr);
/* None there is success. */
int bind_journal_remove(const struct bdf *at, struct verr *reterr);
/* Removes what a crash left of files being written; under the lock, best effort. */
void bind_journal_tidy(void);
/* Functions that have a journal, sorted; *ret is malloc'ed. Returns the number; -ENOENT: there is
 * not even the folder. */
int bind_journal_list(struct bdf **ret, struct verr *reterr);

/* --- steps (bind_step.c) --------------------------------------------------------------------- */

/* One line of narration, if somebody listens. */
void bind_say(const struct bind_opts *o, const char *fmt, ...) ATTR_PRINTF(2, 3);
/* What the function is now, as a journal entry. */
void bind_step_note(const struct hostpci_dev *d, struct bind_journal *ret);
/* Override, unbind, probe, verify. Undoes nothing. With dry_run only says what it would write. */
int bind_step_to_vfio(const struct hostpci_dev *d, const struct bind_opts *o, struct verr *reterr);
/* Back to what `j` says, from wherever it is. Does only what is left to do, so that it can be
 * repeated. 0; 1: the function is gone, which is as good; -errno. */
int bind_step_back(const struct bind_journal *j, const struct bind_opts *o, struct verr *reterr);

/* --- use (bind_inuse*.c) ---------------------------------------------------------------------- */

/* 1 with the phrase in why; 0: not in use; -errno with a phrase: it can't be told. */
int bind_use_of_blocks(const struct bdf *at, char *why, size_t size);
int bind_use_of_net(const struct bdf *at, char *why, size_t size);
/* An interface of the function that is up, which is worth a word but no refusal. */
bool bind_interface_up(const struct bdf *at, char *name, size_t size);
/* Whether `link` in sysfs points at something below the function. */
bool bind_link_below(const struct bdf *at, const char *link);

VV_END_DECLS
