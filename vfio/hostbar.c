// SPDX-License-Identifier: GPL-2.0-or-later
// Where the host has a function's BARs: sysfs' resource file. Reads only.
#include "vfio/hostbar.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "vfio/hostproc.h"

#define RESOURCE_IO    0x100u
#define RESOURCE_MEM   0x200u
#define RESOURCE_PREF  0x2000u
#define RESOURCE_64    0x100000u
#define RESOURCE_UNSET 0x20000000u

struct resources {
	struct host_bar *bar;
	unsigned int at;
};

/* "0x00000000c0000000 0x00000000c001ffff 0x0000000000040200" */
static int resource_line(void *opaque, char *line)
{
	struct resources *s = (struct resources *)opaque;
	uint64_t first, last, flags;
	if (s->at == 6 ||
	    sscanf(line, "%" SCNx64 " %" SCNx64 " %" SCNx64, &first, &last, &flags) != 3)
		return 1;
	struct host_bar *b = &s->bar[s->at++];
	if (!(flags & (RESOURCE_IO | RESOURCE_MEM)) || last <= first)
		return 0;
	*b = (struct host_bar){
		.addr = first,
		.size = last - first + 1,
		.io = flags & RESOURCE_IO,
		.is64 = flags & RESOURCE_64,
		.prefetch = flags & RESOURCE_PREF,
		.unplaced = (flags & RESOURCE_UNSET) || first == 0,
	};
	return 0;
}

bool host_bars_read(const struct bdf *at, struct host_bar ret[6])
{
	char path[96], name[BDF_STR_MAX];
	struct resources s = { .bar = ret };
	memset(ret, 0, 6 * sizeof(*ret));
	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/resource", bdf_str(at, name));
	return hostproc_lines(path, resource_line, &s) >= 0 && s.at == 6;
}
