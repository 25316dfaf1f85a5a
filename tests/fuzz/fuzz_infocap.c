// SPDX-License-Identifier: GPL-2.0-or-later
//
// A kernel that answers VFIO's variable-size questions with whatever bytes it likes: the input is
// the answer, to every call. First byte: bit 0 the question (region or IOMMU), bits 4 to 7 the
// region's index. Whatever comes must end in an error or in what the callers count on.
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <linux/vfio.h>

#include "core/sys.h"
#include "tests/fuzz/fuzz.h"
#include "vfio/container.h"
#include "vfio/device.h"
#include "vfio/infocap.h"

static const uint8_t *answer;
static size_t answer_len;

static int answering_ioctl(int fd, unsigned long request, void *arg)
{
	uint32_t room;
	(void)fd;
	(void)request;
	memcpy(&room, arg, sizeof(room));
	memcpy(arg, answer, answer_len < room ? answer_len : room);
	return 0;
}

static void must(bool ok)
{
	if (!ok)
		abort();
}

static void check_region(unsigned int index)
{
	struct vfio_device d = { .fd = 3, .name = "0000:03:00.0" };
	const struct vfio_region *rg = &d.region[index];
	struct verr err = { 0 };

	if (vfio_region_query(&d, index, &err) < 0) {
		must(err.code < 0 && err.msg[0] != '\0');
		return;
	}
	must(rg->n_areas <= VFIO_MAX_MMAP_AREAS);
	must(rg->size == 0 || (rg->fd_off <= INT64_MAX && rg->size - 1 <= INT64_MAX - rg->fd_off));
	for (unsigned int i = 0; i < rg->n_areas; i++) {
		uint64_t off = rg->area[i].off, len = rg->area[i].size;

		must(len > 0 && ((off | len) & 4095) == 0);
		must(len <= rg->size && off <= rg->size - len);
		for (unsigned int j = 0; j < i; j++)
			must(off + len <= rg->area[j].off ||
			     rg->area[j].off + rg->area[j].size <= off);
	}
}

static void check_iommu(void)
{
	struct vfio_container c = { .fd = 3 };
	struct verr err = { 0 };

	if (vfio_container_refresh(&c, &err) < 0) {
		must(err.code < 0 && err.msg[0] != '\0');
		must(c.info.iova.n == 0);
		return;
	}
	must(c.info.pgsizes != 0);
	for (size_t i = 0; i < c.info.iova.n; i++) {
		must(c.info.iova.r[i].first <= c.info.iova.r[i].last);
		must(i == 0 || c.info.iova.r[i - 1].last < c.info.iova.r[i].first);
	}
	rangeset_fini(&c.info.iova);
}

/* The walker alone, with an argsz and an offset that no caller would let through. */
static void check_walker(void)
{
	uint32_t first = 0;

	if (answer_len >= 8)
		memcpy(&first, answer + 4, sizeof(first));
	const void *h = vfio_info_cap(answer, (uint32_t)answer_len, first, 1, 16);

	must(!h ||
	     ((const uint8_t *)h >= answer && (const uint8_t *)h + 16 <= answer + answer_len));
	if (vfio_info_cap_check(answer, (uint32_t)answer_len, first) < 0)
		must(!h);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct sys_ops ops;

	if (size < 1)
		return 0;
	ops = sys_linux;
	ops.ioctl = answering_ioctl;
	sys = &ops;
	answer = data + 1;
	answer_len = size - 1;
	check_walker();
	if (data[0] & 1)
		check_iommu();
	else
		check_region((data[0] >> 4) % VFIO_N_REGIONS);
	return 0;
}
