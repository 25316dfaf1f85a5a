// SPDX-License-Identifier: GPL-2.0-or-later
//
// vfio/dma on the fake kernel: which guest memory is mapped and how, all or nothing, windows and
// holes, and a sentence for each way in which MAP_DMA is refused.
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <cmocka.h>
#include <linux/vfio.h>

#include "core/gmem.h"
#include "core/sys.h"
#include "tests/fake/fake_fault.h"
#include "tests/fake/fake_sys.h"
#include "tests/fake/fake_vfio.h"
#include "tests/fake/fake_zoo.h"
#include "vfio/container.h"
#include "vfio/dma.h"
#include "vfio/group.h"

#define AMD_HOLE UINT64_C(0xfd00000000)
#define HOLE_END UINT64_C(0xffffffffff)

static struct vfio_container *c;
static struct vfio_group *g;
static struct vfio_dma dma;
static struct gmem mem;
static struct verr err;
static struct gmem_region reg[8];
static unsigned int n_reg;

/* A region of guest memory, real behind it. Not added yet. */
static struct gmem_region *region(const char *name, enum gmem_kind kind, uint64_t gpa,
				  uint64_t size)
{
	struct gmem_region *r = &reg[n_reg++];

	*r = (struct gmem_region){ .name = name, .kind = kind, .gpa = gpa, .size = size, .fd = -1 };
	assert_int_equal(sys_mmap(&r->hva, NULL, size, PROT_READ | PROT_WRITE,
				  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0),
			 0);
	return r;
}

static struct gmem_region *add(const char *name, enum gmem_kind kind, uint64_t gpa, uint64_t size)
{
	struct gmem_region *r = region(name, kind, gpa, size);

	if (gmem_add(&mem, r, &err) < 0)
		fail_msg("%s", err.msg);
	return r;
}

static void drop_regions(void)
{
	while (n_reg > 0) {
		struct gmem_region *r = &reg[--n_reg];

		gmem_del(r);
		sys_munmap(r->hva, r->size);
	}
}

static void attach(void)
{
	if (vfio_container_open(&c, &err) < 0 || vfio_group_attach(c, 14, &g, &err) < 0)
		fail_msg("%s", err.msg);
}

static int setup_host(void **state)
{
	(void)state;
	fake_reset();
	fake_zoo_one(&zoo_e1000e);
	memset(&err, 0, sizeof(err));
	memset(&dma, 0, sizeof(dma));
	gmem_init(&mem);
	return 0;
}

static int setup(void **state)
{
	setup_host(state);
	attach();
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	fake_fault_clear();
	vfio_dma_stop(&dma);
	drop_regions();
	gmem_fini(&mem);
	vfio_group_put(g);
	vfio_container_put(c);
	g = NULL;
	c = NULL;
	return fake_clean() ? 0 : -1;
}

static void start(void)
{
	if (vfio_dma_start(&dma, c, &mem, &err) < 0)
		fail_msg("%s", err.msg);
}

static void assert_says(const char *says)
{
	if (strcmp(err.msg, says) != 0)
		fail_msg("says: %s", err.msg);
	verr_clear(&err);
}

/* Starting must fail with this, and leave nothing behind. */
static void assert_no_start(int code, const char *says)
{
	uint32_t refs = c->refs;

	assert_int_equal(vfio_dma_start(&dma, c, &mem, &err), code);
	assert_int_equal(err.code, code);
	assert_says(says);
	assert_int_equal(fake_dma_maps(), 0);
	assert_int_equal(c->refs, refs);
	assert_true(list_empty(&mem.listeners));
	assert_null(dma.gmem);
}

/* --- what is mapped ------------------------------------------------------------------------- */

static void test_one_map_a_region(void **state)
{
	(void)state;
	struct gmem_region *low = add("ram", GMEM_RAM, 0, MIB(8));
	struct gmem_region *high = add("ram-high", GMEM_RAM, GIB(4), MIB(64));
	void *va;
	uint64_t size;
	uint32_t flags;

	fake_log_clear();
	start();
	assert_int_equal(fake_dma_maps(), 2);
	assert_int_equal(fake_log_count("VFIO_IOMMU_MAP_DMA"), 2);
	assert_true(fake_dma_lookup(0, &va, &size, &flags));
	assert_ptr_equal(va, low->hva);
	assert_int_equal(size, MIB(8));
	assert_int_equal(flags, VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE);
	assert_true(fake_dma_lookup(GIB(4), &va, &size, &flags));
	assert_ptr_equal(va, high->hva);
	assert_int_equal(dma.mapped, MIB(72));
	/* Windows and limits were asked again first: they may have shrunk. */
	assert_true(fake_log_find("VFIO_IOMMU_GET_INFO", 0) <
		    fake_log_find("VFIO_IOMMU_MAP_DMA", 0));
	assert_true(fake_log_find("VFIO_IOMMU_GET_INFO", 0) >= 0);
	vfio_dma_stop(&dma);
	assert_int_equal(fake_dma_maps(), 0);
	assert_int_equal(dma.mapped, 0);
	vfio_dma_stop(&dma);
}

static void test_rom_is_not_mapped_mmio_is(void **state)
{
	(void)state;
	add("ram", GMEM_RAM, 0, MIB(1));
	add("bios", GMEM_ROM, 0xffff0000 - MIB(16), KIB(64));
	add("bar", GMEM_MMIO, GIB(3), MIB(1));
	start();
	assert_true(fake_dma_lookup(0, NULL, NULL, NULL));
	assert_false(fake_dma_lookup(0xffff0000 - MIB(16), NULL, NULL, NULL));
	assert_true(fake_dma_lookup(GIB(3), NULL, NULL, NULL));
	assert_int_equal(dma.mapped, MIB(1)); /* RAM only */
}

static void test_memory_that_comes_and_goes_later(void **state)
{
	(void)state;
	start();
	struct gmem_region *r = add("dimm", GMEM_RAM, GIB(8), MIB(2));

	assert_int_equal(fake_dma_maps(), 1);
	gmem_del(r);
	assert_int_equal(fake_dma_maps(), 0);
}

static void test_type1_without_v2_maps_and_unmaps_the_same(void **state)
{
	(void)state;
	vfio_group_put(g);
	vfio_container_put(c);
	fake_iommu()->type1v2 = false;
	attach();
	assert_false(c->v2);
	add("ram", GMEM_RAM, 0, MIB(1));
	add("ram-high", GMEM_RAM, GIB(4), MIB(1));
	start();
	assert_int_equal(fake_dma_maps(), 2);
	gmem_del(&reg[0]);
	assert_int_equal(fake_dma_maps(), 1);
	vfio_dma_stop(&dma);
	assert_int_equal(fake_dma_maps(), 0);
}

static void test_nothing_before_the_iommu_is_set(void **state)
{
	(void)state;
	vfio_group_put(g);
	g = NULL;
	assert_no_start(-EINVAL,
			"guest memory can't be mapped for DMA before a group is attached to "
			"the container");
}

static void test_mappers_are_found_again(void **state)
{
	(void)state;
	struct vfio_dma second = { 0 };

	assert_null(vfio_dma_next(&mem, NULL));
	add("ram", GMEM_RAM, 0, MIB(1));
	start();
	assert_int_equal(vfio_dma_start(&second, c, &mem, &err),
			 -EEXIST); /* mapped there already */
	assert_says(
		"ram at 0-0xfffff overlaps a DMA map that is still in this container although the "
		"guest has no memory there any more");
	assert_ptr_equal(vfio_dma_next(&mem, NULL), &dma);
	assert_null(vfio_dma_next(&mem, &dma));
}

/* --- windows -------------------------------------------------------------------------------- */

static void test_windows(void **state)
{
	(void)state;
	static const struct {
		uint64_t iova, size;
		const char *says; /* NULL: fine */
	} cases[] = {
		{ 0, 0xfee00000, NULL },
		{ 0xfef00000, 4096, NULL },
		{ (1ull << 39) - 4096, 4096, NULL },
		{ 0, 0, "0 bytes at guest address 0 are not a range" },
		{ UINT64_MAX, 2, "0x2 bytes at guest address 0xffffffffffffffff are not a range" },
		{ 0, GIB(4),
		  "guest addresses 0-0xffffffff can't all be reached by DMA: "
		  "0xfee00000-0xfeefffff is the interrupt (MSI) window of IOMMU group 14; "
		  "the guest's memory and BARs have to keep clear of it" },
		{ 0xfee00000, 4096,
		  "guest addresses 0xfee00000-0xfee00fff can't all be reached by DMA: "
		  "0xfee00000-0xfeefffff is the interrupt (MSI) window of IOMMU group "
		  "14; the guest's memory and BARs have to keep clear of it" },
		{ (1ull << 39) - 4096, 8192,
		  "guest addresses 0x7ffffff000-0x8000000fff are beyond the reach of DMA: the IOMMU's "
		  "addresses end at 0x7fffffffff; the guest's memory and BARs have to fit below" },
		{ AMD_HOLE, GIB(1),
		  "guest addresses 0xfd00000000-0xfd3fffffff are beyond the reach of DMA: the IOMMU's "
		  "addresses end at 0x7fffffffff; the guest's memory and BARs have to fit below" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		int r = vfio_dma_check(c, cases[i].iova, cases[i].size, &err);

		assert_int_equal(r, cases[i].says ? -EINVAL : 0);
		if (cases[i].says)
			assert_says(cases[i].says);
	}
}

/* An AMD host: 52 bits, a hole below 1 TiB. */
static void amd(const char *listed)
{
	fake_iommu()->windows[0][0] = 0;
	fake_iommu()->windows[0][1] = AMD_HOLE - 1;
	fake_iommu()->windows[1][0] = HOLE_END + 1;
	fake_iommu()->windows[1][1] = (1ull << 52) - 1;
	if (listed)
		fake_group_reserve(14, AMD_HOLE, HOLE_END, listed);
	vfio_group_put(g);
	vfio_container_put(c);
	attach();
}

static void test_amd_hole_listed_by_the_group(void **state)
{
	(void)state;
	amd("reserved");
	add("ram-high", GMEM_RAM, AMD_HOLE - MIB(2), MIB(4));
	assert_no_start(-EINVAL,
			"ram-high: guest addresses 0xfcffe00000-0xfd001fffff can't all be reached "
			"by DMA: 0xfd00000000-0xffffffffff is AMD's HyperTransport hole of IOMMU "
			"group 14; the guest's memory and BARs have to keep clear of it");
}

static void test_amd_hole_known_without_a_list(void **state)
{
	(void)state;
	amd(NULL);
	add("ram-high", GMEM_RAM, HOLE_END - MIB(2) + 1, MIB(4));
	assert_no_start(-EINVAL,
			"ram-high: guest addresses 0xffffe00000-0x100001fffff can't all be "
			"reached by DMA: 0xfd00000000-0xffffffffff is AMD's HyperTransport hole; "
			"the guest's memory and BARs have to keep clear of it");
}

static void test_other_holes(void **state)
{
	(void)state;
	fake_group_reserve(14, 0x7b800000, 0x7bffffff, "direct");
	fake_group_reserve(14, 0x90000000, 0x9000ffff, "reserved");
	fake_iommu()->windows[0][1] = 0xafffffff;
	fake_iommu()->windows[1][0] = 0xc0000000;
	fake_iommu()->windows[1][1] = 0xffffffffff;
	assert_int_equal(vfio_container_refresh(c, &err), 0);
	vfio_group_put(g);
	vfio_container_put(c);
	attach();
	assert_int_equal(vfio_dma_check(c, 0x7b000000, MIB(16), &err), -EINVAL);
	assert_says("guest addresses 0x7b000000-0x7bffffff can't all be reached by DMA: "
		    "0x7b800000-0x7bffffff is a firmware reservation (RMRR) of IOMMU group 14; the "
		    "guest's memory and BARs have to keep clear of it");
	assert_int_equal(vfio_dma_check(c, 0x90000000, 4096, &err), -EINVAL);
	assert_says(
		"guest addresses 0x90000000-0x90000fff can't all be reached by DMA: "
		"0x90000000-0x9000ffff is a reserved region of IOMMU group 14; the guest's memory "
		"and BARs have to keep clear of it");
	assert_int_equal(vfio_dma_check(c, 0xa0000000, GIB(1), &err), -EINVAL);
	assert_says(
		"guest addresses 0xa0000000-0xdfffffff can't all be reached by DMA: "
		"0xb0000000-0xbfffffff is not in the IOMMU's ranges; the guest's memory and BARs "
		"have to keep clear of it");
}

static void test_no_window_at_all(void **state)
{
	(void)state;
	rangeset_fini(&c->info.iova);
	memset(&c->info.iova, 0, sizeof(c->info.iova));
	assert_int_equal(vfio_dma_check(c, 0, 4096, &err), -EINVAL);
	assert_says("the IOMMU has no address for DMA at all, guest addresses 0-0xfff included");
}

static void test_old_kernel_refuses_by_itself(void **state)
{
	(void)state;
	fake_iommu()->iova_cap = false;
	add("ram", GMEM_RAM, 0xfe000000, MIB(16));
	assert_no_start(-EINVAL,
			"mapping ram for DMA: the kernel refuses the guest addresses "
			"0xfe000000-0xfeffffff: 0xfee00000-0xfeefffff is the interrupt (MSI) "
			"window of IOMMU group 14");
	drop_regions();
	add("ram", GMEM_RAM, 1ull << 39, MIB(16));
	assert_no_start(-EINVAL,
			"mapping ram for DMA: the kernel refuses the guest addresses "
			"0x8000000000-0x8000ffffff: they may be beyond the reach of the IOMMU");
}

static void test_iommu_with_larger_pages(void **state)
{
	(void)state;
	fake_iommu()->pgsizes = KIB(64) | MIB(2);
	add("ram", GMEM_RAM, KIB(4), MIB(1));
	assert_no_start(-EINVAL,
			"ram at 0x1000 (0x100000 bytes) is not aligned to the IOMMU's page of "
			"0x10000 bytes");
}

/* A BAR that can't be mapped is a BAR that other devices can't reach, nothing more. */
static void test_mmio_is_best_effort(void **state)
{
	(void)state;
	add("ram", GMEM_RAM, 0, MIB(1));
	struct gmem_region *bar = add("bar", GMEM_MMIO, 1ull << 40, MIB(1));

	start();
	assert_int_equal(fake_dma_maps(), 1);
	gmem_del(bar);
	assert_int_equal(fake_dma_maps(), 1);
	assert_int_equal(dma.mapped, MIB(1));
}

/* --- refusals ------------------------------------------------------------------------------- */

static void limits(const char *soft)
{
	char text[256];

	snprintf(text, sizeof(text),
		 "Limit                     Soft Limit           Hard Limit    "
		 "       Units     \nMax locked memory         %s              "
		 "%s              bytes     \n",
		 soft, soft);
	fake_file_set("/proc/self/limits", text);
}

static void test_memlock_says_need_have_and_how(void **state)
{
	(void)state;
	fake_iommu()->memlock = MIB(8);
	limits("8388608");
	add("ram", GMEM_RAM, 0, MIB(8));
	add("ram-high", GMEM_RAM, GIB(4), MIB(56));
	assert_no_start(-ENOMEM,
			"pinning ram-high (56 MiB) for DMA needs 65536 KiB of locked memory, the "
			"limit is 8192 KiB: raise it by `ulimit -l 65536`, by "
			"LimitMEMLOCK=67108864 in the systemd unit, or by the capability "
			"CAP_IPC_LOCK");
}

static void test_memlock_counts_what_others_locked(void **state)
{
	(void)state;
	fake_iommu()->memlock = MIB(8);
	limits("10485760");
	fake_file_set("/proc/self/status",
		      "Name:\tx\nVmLck:\t   4096 kB\nCapEff:\t0000000000000000\n");
	add("ram", GMEM_RAM, 0, MIB(10));
	assert_no_start(-ENOMEM,
			"pinning ram (10 MiB) for DMA needs 14336 KiB of locked memory, the "
			"limit is 10240 KiB: raise it by `ulimit -l 14336`, by "
			"LimitMEMLOCK=14680064 in the systemd unit, or by the capability "
			"CAP_IPC_LOCK");
}

static void test_out_of_memory_is_not_blamed_on_the_limit(void **state)
{
	(void)state;
	static const char says[] =
		"the kernel ran out of memory while it pinned ram (8 MiB) for DMA: "
		"give the guest less memory, or free some";

	fake_iommu()->memlock = MIB(4);
	limits("unlimited");
	add("ram", GMEM_RAM, 0, MIB(8));
	assert_no_start(-ENOMEM, says);
	limits("1048576000");
	assert_no_start(-ENOMEM, says);
	limits("65536");
	fake_file_set("/proc/self/status", "CapEff:\t0000000000004000\n");
	assert_no_start(-ENOMEM, says);
}

static void test_memlock_when_procfs_is_silent(void **state)
{
	(void)state;
	static const char says[] =
		"pinning ram (8 MiB) for DMA: out of memory, most likely of memory that may be locked; "
		"8192 KiB are needed: raise the limit by `ulimit -l 8192`, by LimitMEMLOCK=8388608 in the "
		"systemd unit, or by the capability CAP_IPC_LOCK";

	fake_iommu()->memlock = MIB(4);
	fake_file_remove("/proc/self/limits");
	add("ram", GMEM_RAM, 0, MIB(8));
	assert_no_start(-ENOMEM, says);
	limits("much");
	assert_no_start(-ENOMEM, says);
}

static void test_too_few_maps_is_known_before_the_first(void **state)
{
	(void)state;
	fake_iommu()->dma_limit = 1;
	fake_file_set("/sys/module/vfio_iommu_type1/parameters/dma_entry_limit", "1\n");
	add("ram", GMEM_RAM, 0, MIB(1));
	add("ram-high", GMEM_RAM, GIB(4), MIB(1));
	fake_log_clear();
	assert_no_start(-ENOSPC,
			"no DMA map is left for guest memory (2 needed, 1 left): the limit of 1 "
			"per container is reached; raise it: modprobe vfio_iommu_type1 "
			"dma_entry_limit=N (or \"options vfio_iommu_type1 dma_entry_limit=N\" in "
			"/etc/modprobe.d)");
	assert_int_equal(fake_log_count("VFIO_IOMMU_MAP_DMA"), 0);
}

static void test_no_map_left_for_a_later_region(void **state)
{
	(void)state;
	fake_iommu()->dma_limit = 1;
	fake_file_remove("/sys/module/vfio_iommu_type1");
	add("ram", GMEM_RAM, 0, MIB(1));
	start();
	assert_int_equal(gmem_add(&mem, region("dimm", GMEM_RAM, GIB(8), MIB(1)), &err), -ENOSPC);
	assert_says(
		"no DMA map is left for dimm at 0x200000000-0x2000fffff: the limit per container is reached; raise it: modprobe "
		"vfio_iommu_type1 dma_entry_limit=N (or \"options vfio_iommu_type1 "
		"dma_entry_limit=N\" in /etc/modprobe.d)");
}

static void fail_map(int e)
{
	fake_fault_clear();
	fake_fault_add(&(struct fake_fault){ .calls = BIT32(FAKE_CALL_IOCTL),
					     .request = VFIO_IOMMU_MAP_DMA,
					     .nth = 1,
					     .err = e });
}

static void test_each_other_errno_of_map(void **state)
{
	(void)state;
	add("ram", GMEM_RAM, 0, MIB(1));
	fail_map(EFAULT);
	assert_no_start(-EFAULT,
			"the host memory behind ram at 0-0xfffff can't be pinned for DMA (EFAULT): "
			"it is not there, or not writable");
	fail_map(EEXIST);
	assert_no_start(-EEXIST,
			"ram at 0-0xfffff overlaps a DMA map that is still in this container "
			"although the guest has no memory there any more");
	fail_map(EPERM);
	assert_no_start(-EPERM,
			"mapping ram for DMA is refused (EPERM): this machine has no interrupt "
			"remapping (dmesg says so), so the guest could send interrupts to the "
			"host; switch it on in the firmware, or accept the risk: modprobe "
			"vfio_iommu_type1 allow_unsafe_interrupts=1");
	fail_map(EIO);
	assert_no_start(
		-EIO, "mapping ram at 0-0xfffff for DMA (VFIO_IOMMU_MAP_DMA): Input/output error");
}

static void test_failure_in_the_middle_undoes_all(void **state)
{
	(void)state;
	add("a", GMEM_RAM, 0, MIB(1));
	add("b", GMEM_RAM, MIB(1), MIB(1));
	add("bar", GMEM_MMIO, GIB(3), MIB(1));
	add("c", GMEM_RAM, GIB(4), MIB(1));
	fake_fault_add(&(struct fake_fault){ .calls = BIT32(FAKE_CALL_IOCTL),
					     .request = VFIO_IOMMU_MAP_DMA,
					     .nth = 4,
					     .err = EIO });
	assert_no_start(-EIO, "mapping c at 0x100000000-0x1000fffff for DMA (VFIO_IOMMU_MAP_DMA): "
			      "Input/output error");
	assert_int_equal(dma.mapped, 0);
	fake_fault_clear();
	start();
	assert_int_equal(fake_dma_maps(), 4);
}

/* Nothing can be done about it but go on: the map goes with the container. */
static void test_refused_unmap_ends_with_the_container(void **state)
{
	(void)state;
	add("ram", GMEM_RAM, 0, MIB(1));
	start();
	fake_fault_add(&(struct fake_fault){ .calls = BIT32(FAKE_CALL_IOCTL),
					     .request = VFIO_IOMMU_UNMAP_DMA,
					     .nth = 1,
					     .err = EINVAL });
	vfio_dma_stop(&dma);
	assert_int_equal(dma.mapped, 0);
	assert_int_equal(fake_dma_maps(), 1);
	vfio_group_put(g);
	g = NULL;
	assert_int_equal(fake_dma_maps(), 0);
}

/* --- sweep ---------------------------------------------------------------------------------- */

static void sweep_setup(void *opaque)
{
	(void)opaque;
	fake_zoo_one(&zoo_e1000e);
}

static int sweep_run(void *opaque, struct verr *verr)
{
	struct vfio_container *sc = NULL;
	struct vfio_group *sg = NULL;
	struct vfio_dma sd = { .gmem = NULL };
	struct gmem m;
	struct gmem_region ram[2] = {
		{ .name = "ram", .kind = GMEM_RAM, .gpa = 0, .size = MIB(1), .fd = -1 },
		{ .name = "bar", .kind = GMEM_MMIO, .gpa = GIB(3), .size = MIB(1), .fd = -1 },
	};
	static char backing[2][MIB(1)] __attribute__((aligned(4096)));
	(void)opaque;

	gmem_init(&m);
	for (unsigned int i = 0; i < 2; i++) {
		ram[i].hva = backing[i];
		gmem_add(&m, &ram[i], NULL);
	}
	int r = vfio_container_open(&sc, verr);

	if (r == 0)
		r = vfio_group_attach(sc, 14, &sg, verr);
	if (r == 0)
		r = vfio_dma_start(&sd, sc, &m, verr);
	vfio_dma_stop(&sd);
	vfio_group_put(sg);
	vfio_container_put(sc);
	gmem_del(&ram[0]);
	gmem_del(&ram[1]);
	gmem_fini(&m);
	return r;
}

static void test_sweep(void **state)
{
	(void)state;
	struct fake_sweep s = {
		.name = "dma-start",
		.setup = sweep_setup,
		.run = sweep_run,
	};

	assert_int_equal(fault_sweep(&s, NULL), 0);
	/* Calls that undo may fail, too: fds and mappings go all the same. */
	s.name = "dma-start-undo";
	s.undo = true;
	s.names = NULL;
	assert_int_equal(fault_sweep(&s, NULL), 0);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_one_map_a_region),
		T(test_rom_is_not_mapped_mmio_is),
		T(test_memory_that_comes_and_goes_later),
		T(test_type1_without_v2_maps_and_unmaps_the_same),
		T(test_nothing_before_the_iommu_is_set),
		T(test_mappers_are_found_again),
		T(test_windows),
		T(test_amd_hole_listed_by_the_group),
		T(test_amd_hole_known_without_a_list),
		T(test_other_holes),
		T(test_no_window_at_all),
		T(test_old_kernel_refuses_by_itself),
		T(test_iommu_with_larger_pages),
		T(test_mmio_is_best_effort),
		T(test_memlock_says_need_have_and_how),
		T(test_memlock_counts_what_others_locked),
		T(test_out_of_memory_is_not_blamed_on_the_limit),
		T(test_memlock_when_procfs_is_silent),
		T(test_too_few_maps_is_known_before_the_first),
		T(test_no_map_left_for_a_later_region),
		T(test_each_other_errno_of_map),
		T(test_failure_in_the_middle_undoes_all),
		T(test_refused_unmap_ends_with_the_container),
		cmocka_unit_test_setup(test_sweep, setup_host),
	};

	sys = &sys_fake;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
