// SPDX-License-Identifier: GPL-2.0-or-later
// What the sweeps share: the host they run on, and the count of failures injected.
#pragma once

#include "flow.h"

#define SECOND_BDF "0000:04:00.0"
#define THIRD_BDF  "0000:04:00.1"

static unsigned int injected;

static inline void host(void *opaque)
{
	(void)opaque;
	hw = fake_zoo_one(&zoo_e1000e);
	fake_dev_add(&zoo_gpu,
		     &(struct fake_place){ .bdf = SECOND_BDF, .group = 20, .driver = "vfio-pci" });
	fake_dev_add(&zoo_gpu_audio,
		     &(struct fake_place){ .bdf = THIRD_BDF, .group = 20, .driver = "vfio-pci" });
	fake_dev_add(&zoo_nvme, &(struct fake_place){
					.bdf = "0000:05:00.0", .group = 21, .driver = "vfio-pci" });
	fake_group_domain(21, 7);
}

static inline void sweep(const char *name, int (*run)(void *opaque, struct verr *err), void *opaque,
			 const char *names, bool undo)
{
	const struct fake_sweep s = { .name = name,
				      .setup = host,
				      .run = run,
				      .opaque = opaque,
				      .names = names,
				      .undo = undo };
	struct fake_sweep_stats st;
	assert_int_equal(fault_sweep(&s, &st), 0);
	injected += st.injected;
}
