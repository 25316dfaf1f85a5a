// SPDX-License-Identifier: GPL-2.0-or-later
// Between the faults and the sweep.
#pragma once

#include "tests/fake/fake_int.h"

VV_BEGIN_DECLS

struct fk_sweep_plan {
	bool on;
	unsigned int calls; /* kinds; 0: any */
	const char *path;
	bool undo;
	unsigned int nth;	  /* of the candidates */
	unsigned int errno_index; /* which of its errnos */
	/* outcome */
	unsigned int seen, n_errnos;
	bool hit;
	int err;
	char what[256];
};

struct fk_sweep_plan *fk_sweep_plan(void);

VV_END_DECLS
