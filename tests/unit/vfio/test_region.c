// SPDX-License-Identifier: GPL-2.0-or-later
//
// vfio/region: what is taken of the kernel's answer about a region, access width and splitting,
// and where a mapping lands. A table of its own stands in for the kernel: it answers with bytes
// made here, keeps every pread and pwrite, and maps a memfd.
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <cmocka.h>
#include <linux/vfio.h>

#include "core/bytes.h"
#include "core/sys.h"
#include "vfio/device.h"

#define PAGE   4096u
#define FD_OFF 0x10000u

static int memfd = -1;

/* The scripted kernel. */
static struct {
	uint64_t answer[512]; /* VFIO_DEVICE_GET_REGION_INFO, argsz first */
	int err;
	struct {
		uint64_t off;
		size_t len;
		uint64_t val; /* written */
	} io[16];
	unsigned int n_io;
	ssize_t cut;	     /* bytes done at most by one pread or pwrite; -errno; 0: all */
	unsigned int cut_at; /* from this access on */
	int mmap_err, madvise_err;
	unsigned int mmaps, fixed;
	uint64_t live; /* bytes mapped and not unmapped */
	int prot, advice;
} k;

static struct vfio_device dev;

static int k_ioctl(int fd, unsigned long request, void *arg)
{
	struct vfio_region_info *info = arg;
	uint32_t room = info->argsz, argsz = (uint32_t)k.answer[0];
	uint32_t index = info->index;

	(void)fd;
	assert_int_equal(request, VFIO_DEVICE_GET_REGION_INFO);
	if (k.err)
		return -k.err;
	memcpy(info, k.answer, MIN(room, argsz));
	info->index = index;
	info->argsz = argsz;
	return 0;
}

static ssize_t count_io(uint64_t off, size_t len, uint64_t val)
{
	unsigned int i = k.n_io++;

	assert_true(i < ARRAY_SIZE(k.io));
	k.io[i].off = off;
	k.io[i].len = len;
	k.io[i].val = val;
	if (k.cut && i >= k.cut_at)
		return k.cut < 0 ? k.cut : MIN(k.cut, (ssize_t)len);
	return (ssize_t)len;
}

/* Byte at offset x of the device fd is x's low byte. */
static ssize_t k_pread(int fd, void *buf, size_t len, off_t off)
{
	(void)fd;
	for (size_t i = 0; i < len; i++)
		((uint8_t *)buf)[i] = (uint8_t)((uint64_t)off + i);
	return count_io((uint64_t)off, len, 0);
}

static ssize_t k_pwrite(int fd, const void *buf, size_t len, off_t off)
{
	(void)fd;
	return count_io((uint64_t)off, len, get_le(buf, (unsigned int)len));
}

static int k_mmap(void **ret, void *addr, size_t len, int prot, int flags, int fd, off_t off)
{
	k.mmaps++;
	if (fd >= 0) {
		if (k.mmap_err)
			return -k.mmap_err;
		k.fixed += (flags & MAP_FIXED) != 0;
		k.prot = prot;
		assert_int_equal(flags & MAP_SHARED, MAP_SHARED);
	} else {
		assert_int_equal(prot, PROT_NONE);
	}
	int r = sys_linux.mmap(ret, addr, len, prot, flags, fd, off);

	if (r == 0 && !(flags & MAP_FIXED))
		k.live += len;
	return r;
}

static int k_munmap(void *addr, size_t len)
{
	k.live -= len;
	return sys_linux.munmap(addr, len);
}

static int k_madvise(void *addr, size_t len, int advice)
{
	k.advice = advice;
	return k.madvise_err ? -k.madvise_err : sys_linux.madvise(addr, len, advice);
}

#define RW   (VFIO_REGION_INFO_FLAG_READ | VFIO_REGION_INFO_FLAG_WRITE)
#define MM   VFIO_REGION_INFO_FLAG_MMAP
#define CAPS VFIO_REGION_INFO_FLAG_CAPS

static struct vfio_region_info *answer(uint32_t flags, uint64_t size, uint32_t cap_offset,
				       uint32_t argsz)
{
	memset(&k, 0, sizeof(k));
	struct vfio_region_info *info = (struct vfio_region_info *)k.answer;

	info->argsz = argsz;
	info->flags = flags;
	info->size = size;
	info->offset = FD_OFF;
	info->cap_offset = cap_offset;
	return info;
}

static void put_cap(uint32_t off, uint16_t id, uint32_t next)
{
	struct vfio_info_cap_header h = { .id = id, .version = 1, .next = next };

	memcpy((char *)k.answer + off, &h, sizeof(h));
}

/* A sparse list at 32 with `claimed` areas, `n` of them in the answer, next link `next`. */
static void answer_sparse(const struct vfio_mmap_area *a, uint32_t n, uint32_t claimed,
			  uint32_t next)
{
	answer(RW | MM | CAPS, 0x100000, 32, 48 + 16 * n + (next ? 8 : 0));
	put_cap(32, VFIO_REGION_INFO_CAP_SPARSE_MMAP, next);
	memcpy((char *)k.answer + 40, &claimed, 4);
	if (n)
		memcpy((char *)k.answer + 48, a, n * sizeof(*a));
}

static const struct vfio_region *query(unsigned int index)
{
	struct verr err = { 0 };

	memset(&dev, 0, sizeof(dev));
	dev.fd = memfd;
	strcpy(dev.name, "0000:03:00.0");
	if (vfio_region_query(&dev, index, &err) < 0)
		fail_msg("%s", err.msg);
	assert_int_equal(dev.region[index].index, index);
	return &dev.region[index];
}

/* --- the kernel's answer --------------------------------------------------------------------- */

static void test_mmap_flag_without_list_is_one_area(void **state)
{
	(void)state;
	answer(RW | MM, 0x20000, 0, 32);
	const struct vfio_region *rg = query(2);

	assert_int_equal(rg->size, 0x20000);
	assert_int_equal(rg->fd_off, FD_OFF);
	assert_int_equal(rg->flags, RW | MM);
	assert_int_equal(rg->n_areas, 1);
	assert_int_equal(rg->area[0].off, 0);
	assert_int_equal(rg->area[0].size, 0x20000);
	assert_false(rg->msix_mappable);
}

static void test_region_below_a_page_is_its_page(void **state)
{
	(void)state;
	answer(RW | MM, 0x100, 0, 32);
	assert_int_equal(query(0)->n_areas, 1);
	assert_int_equal(dev.region[0].area[0].size, PAGE);
	answer(RW, 0x100, 0, 32); /* a page that it shares */
	assert_int_equal(query(0)->n_areas, 0);
	answer(RW | MM, PAGE + 0x100, 0, 32);
	assert_int_equal(query(0)->n_areas, 1);
	assert_int_equal(dev.region[0].area[0].size, PAGE);
	answer(RW, 0x20000, 0, 32); /* the kernel offers no mmap */
	assert_int_equal(query(0)->n_areas, 0);
	answer(0, 0, 0, 32); /* absent */
	assert_int_equal(query(0)->n_areas, 0);
}

static void test_sparse_areas_are_taken_as_they_are(void **state)
{
	(void)state;
	static const struct vfio_mmap_area a[] = { { 0x40000, 0x1000 },
						   { 0, 0x2000 },
						   { 0xff000, 0x1000 } };

	answer_sparse(a, 3, 3, 0);
	const struct vfio_region *rg = query(0);

	assert_int_equal(rg->n_areas, 3);
	assert_memory_equal(rg->area, a, sizeof(a));
}

static void test_empty_sparse_list_maps_nothing(void **state)
{
	(void)state;
	answer_sparse(NULL, 0, 0, 0);
	assert_int_equal(query(0)->n_areas, 0);
}

static void test_unusable_sparse_areas_are_dropped(void **state)
{
	(void)state;
	static const struct vfio_mmap_area a[] = {
		{ 0x1000, 0 },			/* empty */
		{ 0x1800, 0x1000 },		/* offset off page */
		{ 0x1000, 0x1800 },		/* size off page */
		{ 0xff000, 0x2000 },		/* across the end */
		{ 0x100000, 0x1000 },		/* behind the end */
		{ UINT64_MAX - 0xfff, 0x2000 }, /* wraps */
		{ 0x1000, UINT64_MAX - 0xfff }, /* wraps */
		{ 0x8000, 0x4000 },		/* good */
		{ 0xb000, 0x1000 },		/* overlaps the good one */
		{ 0xc000, 0x1000 },		/* adjacent: good */
	};

	answer_sparse(a, ARRAY_SIZE(a), ARRAY_SIZE(a), 0);
	const struct vfio_region *rg = query(0);

	assert_int_equal(rg->n_areas, 2);
	assert_int_equal(rg->area[0].off, 0x8000);
	assert_int_equal(rg->area[1].off, 0xc000);
}

static void test_more_areas_than_we_keep_are_trapped(void **state)
{
	(void)state;
	struct vfio_mmap_area a[40];

	for (unsigned int i = 0; i < 40; i++)
		a[i] = (struct vfio_mmap_area){ i * 0x2000, 0x1000 };
	answer_sparse(a, 40, 40, 0);
	assert_int_equal(query(0)->n_areas, VFIO_MAX_MMAP_AREAS);
}

/* Mapping the whole region instead of what a garbled list allows would be worse than slow. */
static void test_garbled_sparse_list_maps_nothing(void **state)
{
	(void)state;
	static const struct vfio_mmap_area a[] = { { 0, 0x2000 } };

	answer_sparse(a, 1, 2, 0); /* claims more than there is */
	assert_int_equal(query(0)->n_areas, 0);
	answer_sparse(a, 1, UINT32_MAX, 0);
	assert_int_equal(query(0)->n_areas, 0);
	answer_sparse(a, 1, 1, 4096); /* a link out of the answer */
	assert_int_equal(query(0)->n_areas, 0);
	answer_sparse(a, 1, 1, 32); /* a loop */
	assert_int_equal(query(0)->n_areas, 0);
	answer(RW | MM | CAPS, 0x100000, 32, 40); /* header only */
	put_cap(32, VFIO_REGION_INFO_CAP_SPARSE_MMAP, 0);
	assert_int_equal(query(0)->n_areas, 0);
}

static void test_msix_mappable_is_seen_beside_a_list(void **state)
{
	(void)state;
	static const struct vfio_mmap_area a[] = { { 0, 0x2000 } };

	answer_sparse(a, 1, 1, 64);
	put_cap(64, VFIO_REGION_INFO_CAP_MSIX_MAPPABLE, 0);
	assert_true(query(0)->msix_mappable);
	assert_int_equal(dev.region[0].n_areas, 1);
	answer(RW | MM | CAPS, 0x4000, 32, 40);
	put_cap(32, VFIO_REGION_INFO_CAP_MSIX_MAPPABLE, 0);
	assert_true(query(0)->msix_mappable);
	assert_int_equal(dev.region[0].n_areas, 1);
}

static void test_vga_region_may_be_unknown_others_not(void **state)
{
	(void)state;
	struct verr err = { 0 };

	answer(0, 0, 0, 32);
	k.err = EINVAL;
	assert_int_equal(query(VFIO_PCI_VGA_REGION_INDEX)->size, 0);
	assert_int_equal(vfio_region_query(&dev, 3, &err), -EINVAL);
	assert_string_equal(err.msg,
			    "0000:03:00.0: asking for region 3 (VFIO_DEVICE_GET_REGION_INFO): "
			    "Invalid argument");
}

static void test_region_beyond_file_offsets_is_refused(void **state)
{
	(void)state;
	static const struct {
		uint64_t off, size;
	} bad[] = {
		{ UINT64_MAX - 0xfff, 0x1000 },
		{ 0x8000000000000000, 0x1000 },
		{ 0x7ffffffffffff000, 0x1001 },
		{ 0x1000, UINT64_MAX },
	};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct verr err = { 0 };

		answer(RW | MM, bad[i].size, 0, 32)->offset = bad[i].off;
		dev.region[1].size = 77;
		assert_int_equal(vfio_region_query(&dev, 1, &err), -EBADMSG);
		assert_non_null(strstr(err.msg,
				       "0000:03:00.0: the kernel's answer about region 1 makes "
				       "no sense: "));
		assert_int_equal(dev.region[1].size, 77);
	}
}

/* --- access ---------------------------------------------------------------------------------- */

static void test_access_keeps_its_width(void **state)
{
	(void)state;
	for (unsigned int size = 1; size <= 8; size *= 2) {
		answer(RW, 0x1000, 0, 32);
		query(0);
		uint64_t want = 0;

		for (unsigned int i = 0; i < size; i++)
			want |= (uint64_t)(0x21 + i) << (8 * i);
		assert_int_equal(vfio_region_read(&dev, 0, 0x21, size), want);
		assert_int_equal(k.n_io, 1);
		assert_int_equal(k.io[0].off, FD_OFF + 0x21);
		assert_int_equal(k.io[0].len, size);

		assert_int_equal(vfio_region_write(&dev, 0, 0x40, 0x8877665544332211, size), 0);
		assert_int_equal(k.n_io, 2);
		assert_int_equal(k.io[1].off, FD_OFF + 0x40);
		assert_int_equal(k.io[1].len, size);
		assert_int_equal(k.io[1].val, 0x8877665544332211 & ones(size));
	}
}

static void test_outside_the_region_reads_ones_and_writes_nothing(void **state)
{
	(void)state;
	static const struct {
		unsigned int index;
		uint64_t off;
		unsigned int size;
	} bad[] = {
		{ 0, 0x1000, 1 }, { 0, 0xffd, 4 }, { 0, UINT64_MAX, 1 }, { 0, UINT64_MAX - 2, 4 },
		{ 0, 0, 9 },	  { 1, 0, 4 },	   { 9, 0, 4 },		 { UINT32_MAX, 0, 4 },
	};

	answer(RW, 0x1000, 0, 32);
	query(0);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		assert_int_equal(vfio_region_read(&dev, bad[i].index, bad[i].off, bad[i].size),
				 ones(bad[i].size));
		assert_int_equal(vfio_region_write(&dev, bad[i].index, bad[i].off, 0, bad[i].size),
				 -EINVAL);
	}
	vfio_region_read(&dev, 0, 0, 0);
	assert_int_equal(vfio_region_write(&dev, 0, 0, 0, 0), -EINVAL);
	assert_int_equal(k.n_io, 0);
}

static void test_regions_directions_are_kept(void **state)
{
	(void)state;
	answer(VFIO_REGION_INFO_FLAG_READ, 0x1000, 0, 32); /* the ROM */
	query(6);
	assert_int_equal(vfio_region_write(&dev, 6, 0, 1, 4), -EINVAL);
	assert_int_equal(vfio_region_read(&dev, 6, 4, 1), 4);
	answer(VFIO_REGION_INFO_FLAG_WRITE, 0x1000, 0, 32);
	query(0);
	assert_int_equal(vfio_region_read(&dev, 0, 0, 4), 0xffffffff);
	assert_int_equal(k.n_io, 0);
}

static void test_short_or_failed_read_is_ones(void **state)
{
	(void)state;
	answer(RW, 0x1000, 0, 32);
	query(0);
	k.cut = 2;
	assert_int_equal(vfio_region_read(&dev, 0, 0, 4), 0xffffffff);
	assert_int_equal(vfio_region_write(&dev, 0, 0, 1, 4), -EIO);
	k.cut = -ENODEV;
	assert_int_equal(vfio_region_read(&dev, 0, 0, 8), UINT64_MAX);
	assert_int_equal(vfio_region_read(&dev, 0, 0, 1), 0xff);
	assert_int_equal(vfio_region_write(&dev, 0, 0, 1, 4), -ENODEV);
}

static void test_config_access_is_split_at_dwords(void **state)
{
	(void)state;
	static const struct {
		unsigned int off, size, n, len[3];
	} cases[] = {
		{ 0x10, 4, 1, { 4 } },	  { 0x12, 2, 1, { 2 } },       { 0x13, 1, 1, { 1 } },
		{ 0x11, 4, 2, { 3, 1 } }, { 0x13, 2, 2, { 1, 1 } },    { 0x12, 4, 2, { 2, 2 } },
		{ 0x10, 8, 2, { 4, 4 } }, { 0x11, 8, 3, { 3, 4, 1 } },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		unsigned int off = cases[i].off, size = cases[i].size;
		uint64_t want = 0;

		for (unsigned int b = 0; b < size; b++)
			want |= (uint64_t)(off + b) << (8 * b);
		answer(RW, 0x1000, 0, 32);
		query(VFIO_PCI_CONFIG_REGION_INDEX);
		assert_int_equal(vfio_region_read(&dev, 7, off, size), want);
		assert_int_equal(k.n_io, cases[i].n);
		for (unsigned int j = 0, at = FD_OFF + off; j < k.n_io; at += cases[i].len[j++]) {
			assert_int_equal(k.io[j].off, at);
			assert_int_equal(k.io[j].len, cases[i].len[j]);
		}
		k.n_io = 0;
		assert_int_equal(vfio_region_write(&dev, 7, off, 0x0807060504030201, size), 0);
		assert_int_equal(k.n_io, cases[i].n);
		assert_int_equal(k.io[0].val, 0x0807060504030201 & ones(cases[i].len[0]));
	}
}

static void test_config_accessors(void **state)
{
	(void)state;
	answer(RW, 0x1000, 0, 32);
	query(VFIO_PCI_CONFIG_REGION_INDEX);
	assert_int_equal(vfio_cfg_read(&dev, 0x34, 1), 0x34);
	assert_int_equal(vfio_cfg_write(&dev, 4, 0xffff0007, 2), 0);
	assert_int_equal(k.io[1].val, 7);
	assert_int_equal(vfio_cfg_reader(&dev, 0x40), 0x43424140);
	assert_int_equal(vfio_cfg_reader(&dev, 0x1000), 0xffffffff);
	/* The second piece fails: no half an answer. */
	k.n_io = 0;
	k.cut = -EIO;
	k.cut_at = 1;
	assert_int_equal(vfio_cfg_read(&dev, 0x12, 4), 0xffffffff);
	k.n_io = 0;
	assert_int_equal(vfio_cfg_write(&dev, 0x12, 0, 4), -EIO);
}

/* --- mapping --------------------------------------------------------------------------------- */

static void test_mapping_is_aligned_like_its_offset(void **state)
{
	(void)state;
	static const struct {
		uint64_t off, size, align;
	} cases[] = {
		{ 0, 0x200000, 0x200000 },    { 0, 0x400000, 0x40000000 },
		{ 0x3000, 0x5000, 0x200000 }, { 0x200000, 0x1000, 0x200000 },
		{ 0x1000, 0x1000, 1 },	      { 0x7000, 0x1000, 0x1000 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct verr err = { 0 };
		void *hva = NULL;

		answer(RW | MM, 0x400000, 0, 32);
		query(0);
		if (vfio_region_mmap(&dev, 0, cases[i].off, cases[i].size, cases[i].align, &hva,
				     &err))
			fail_msg("case %zu: %s", i, err.msg);
		assert_int_equal((uintptr_t)hva % MAX(cases[i].align, PAGE),
				 cases[i].off % MAX(cases[i].align, PAGE));
		assert_int_equal(k.fixed, 1);
		assert_int_equal(k.prot, PROT_READ | PROT_WRITE);
		assert_int_equal(k.advice, MADV_DONTFORK);
		/* It is that part of the fd, to the last byte. */
		uint32_t mark = 0xfeed0000 + (uint32_t)i;

		memcpy((char *)hva + cases[i].size - 4, &mark, 4);
		uint32_t seen = 0;

		assert_int_equal(
			pread(memfd, &seen, 4, (off_t)(FD_OFF + cases[i].off + cases[i].size - 4)),
			4);
		assert_int_equal(seen, mark);
		vfio_region_munmap(hva, cases[i].size);
	}
	vfio_region_munmap(NULL, PAGE);
	assert_int_equal(k.live, 0); /* of the last case: reservation and all */
}

static void test_only_what_the_kernel_offered_is_mapped(void **state)
{
	(void)state;
	static const struct vfio_mmap_area a[] = { { 0x2000, 0x2000 }, { 0x4000, 0x2000 } };
	static const struct {
		unsigned int index;
		uint64_t off, size, align;
	} bad[] = {
		{ 0, 0, 0x1000, 0x1000 },	   /* before */
		{ 0, 0x1000, 0x2000, 0x1000 },	   /* partly before */
		{ 0, 0x3000, 0x2000, 0x1000 },	   /* across two areas */
		{ 0, 0x6000, 0x1000, 0x1000 },	   /* behind */
		{ 0, 0x2000, 0, 0x1000 },	   /* empty */
		{ 0, 0x2000, UINT64_MAX, 0x1000 }, /* wraps */
		{ 0, 0x2800, 0x1000, 0x1000 },	   /* off page */
		{ 0, 0x2000, 0x800, 0x1000 },	   /* part of a page */
		{ 0, 0x2000, 0x1000, 0 },	   /* no alignment */
		{ 0, 0x2000, 0x1000, 0x3000 },	   /* not a power of two */
		{ 0, 0x2000, 0x1000, 1ull << 31 }, /* too much */
		{ 9, 0x2000, 0x1000, 0x1000 },	   /* no region */
		{ 1, 0, 0x1000, 0x1000 },	   /* absent region */
	};

	answer_sparse(a, 2, 2, 0);
	query(0);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct verr err = { 0 };
		void *hva = NULL;

		if (vfio_region_mmap(&dev, bad[i].index, bad[i].off, bad[i].size, bad[i].align,
				     &hva, &err) != -EINVAL ||
		    hva)
			fail_msg("case %zu was mapped", i);
		assert_non_null(strstr(err.msg, "can't be mapped at"));
	}
	assert_int_equal(k.mmaps, 0);
}

static void test_failed_mapping_leaves_no_reservation(void **state)
{
	(void)state;
	struct verr err = { 0 };
	void *hva = NULL;

	answer(RW | MM, 0x400000, 0, 32);
	query(0);
	k.mmap_err = EINVAL;
	assert_int_equal(vfio_region_mmap(&dev, 0, 0, 0x200000, 0x200000, &hva, &err), -EINVAL);
	assert_string_equal(err.msg,
			    "0000:03:00.0: mapping region 0 at 0+0x200000: Invalid argument");
	assert_null(hva);
	assert_int_equal(k.live, 0);

	verr_clear(&err);
	answer(RW | MM, 0x400000, 0, 32);
	k.madvise_err = ENOMEM;
	assert_int_equal(vfio_region_mmap(&dev, 0, 0, 0x200000, 0x200000, &hva, &err), -ENOMEM);
	assert_string_equal(err.msg, "0000:03:00.0: keeping region 0 from child processes "
				     "(MADV_DONTFORK): Cannot allocate memory");
	assert_null(hva);
	assert_int_equal(k.live, 0);
}

static void test_read_only_region_is_mapped_read_only(void **state)
{
	(void)state;
	void *hva;

	answer(VFIO_REGION_INFO_FLAG_READ | MM, 0x1000, 0, 32);
	query(0);
	assert_int_equal(vfio_region_mmap(&dev, 0, 0, 0x1000, 0x1000, &hva, NULL), 0);
	assert_int_equal(k.prot, PROT_READ);
	vfio_region_munmap(hva, 0x1000);
}

int main(void)
{
	static struct sys_ops ops;
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_mmap_flag_without_list_is_one_area),
		cmocka_unit_test(test_region_below_a_page_is_its_page),
		cmocka_unit_test(test_sparse_areas_are_taken_as_they_are),
		cmocka_unit_test(test_empty_sparse_list_maps_nothing),
		cmocka_unit_test(test_unusable_sparse_areas_are_dropped),
		cmocka_unit_test(test_more_areas_than_we_keep_are_trapped),
		cmocka_unit_test(test_garbled_sparse_list_maps_nothing),
		cmocka_unit_test(test_msix_mappable_is_seen_beside_a_list),
		cmocka_unit_test(test_vga_region_may_be_unknown_others_not),
		cmocka_unit_test(test_region_beyond_file_offsets_is_refused),
		cmocka_unit_test(test_access_keeps_its_width),
		cmocka_unit_test(test_outside_the_region_reads_ones_and_writes_nothing),
		cmocka_unit_test(test_regions_directions_are_kept),
		cmocka_unit_test(test_short_or_failed_read_is_ones),
		cmocka_unit_test(test_config_access_is_split_at_dwords),
		cmocka_unit_test(test_config_accessors),
		cmocka_unit_test(test_mapping_is_aligned_like_its_offset),
		cmocka_unit_test(test_only_what_the_kernel_offered_is_mapped),
		cmocka_unit_test(test_failed_mapping_leaves_no_reservation),
		cmocka_unit_test(test_read_only_region_is_mapped_read_only),
	};

	memfd = memfd_create("region", MFD_CLOEXEC);
	if (memfd < 0 || ftruncate(memfd, FD_OFF + 0x500000) < 0)
		return 1;
	ops = sys_linux;
	ops.ioctl = k_ioctl;
	ops.pread = k_pread;
	ops.pwrite = k_pwrite;
	ops.mmap = k_mmap;
	ops.munmap = k_munmap;
	ops.madvise = k_madvise;
	sys = &ops;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
