// SPDX-License-Identifier: GPL-2.0-or-later
//
// vfio/device on the fake kernel: what is read at opening, the sentences for a function that
// can't be opened, reset and signs of life, over the zoo and over doctored answers.
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>
#include <linux/pci_regs.h>
#include <linux/vfio.h>

#include "core/sys.h"
#include "tests/fake/fake_fault.h"
#include "tests/fake/fake_sys.h"
#include "tests/fake/fake_vfio.h"
#include "tests/fake/fake_zoo.h"
#include "vfio/container.h"
#include "vfio/device.h"

#define NAME "0000:03:00.0"

static struct vfio_container *c;
static struct fake_dev *f;
static struct verr err;
static struct sys_ops ops; /* the fake with one call doctored */

static void setup_for(const struct fake_devdesc *desc)
{
	fake_reset();
	f = fake_zoo_one(desc);
	memset(&err, 0, sizeof(err));
	sys = &sys_fake;
	ops = sys_fake;
	assert_int_equal(vfio_container_open(&c, &err), 0);
}

static int setup(void **state)
{
	(void)state;
	setup_for(&zoo_e1000e);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	vfio_container_put(c);
	c = NULL;
	sys = &sys_fake;
	return fake_clean() ? 0 : -1;
}

static struct bdf at(const char *text)
{
	struct bdf b = { 0 };

	assert_int_equal(bdf_parse(text, &b, NULL), 0);
	return b;
}

static struct vfio_device *open_it(void)
{
	struct vfio_device *d = NULL;
	struct bdf b = at(NAME);

	if (vfio_device_open(c, &b, &d, &err) < 0)
		fail_msg("%s", err.msg);
	return d;
}

static void assert_refused(const char *bdf, int code, const char *says)
{
	struct vfio_device *d = NULL;
	struct bdf b = at(bdf);

	verr_clear(&err);
	assert_int_equal(vfio_device_open(c, &b, &d, &err), code);
	assert_null(d);
	if (strcmp(err.msg, says) != 0)
		fail_msg("says: %s", err.msg);
	assert_int_equal(fake_groups_attached(), 0);
}

/* A GPU and its audio function in group 15, both bound to vfio-pci. */
static void add_gpu(void)
{
	fake_dev_add(&zoo_gpu, &(struct fake_place){
				       .bdf = "0000:05:00.0", .group = 15, .driver = "vfio-pci" });
	fake_dev_add(
		&zoo_gpu_audio,
		&(struct fake_place){ .bdf = "0000:05:00.1", .group = 15, .driver = "vfio-pci" });
}

/* --- opening -------------------------------------------------------------------------------- */

static void test_open_reads_everything_once(void **state)
{
	(void)state;
	struct vfio_device *d = open_it();

	assert_string_equal(d->name, NAME);
	assert_true(fake_dev_is_open(f));
	assert_true(d->flags & VFIO_DEVICE_FLAGS_PCI);
	assert_true(d->flags & VFIO_DEVICE_FLAGS_RESET);
	assert_true(d->reset_method[0] != '\0');
	for (unsigned int i = 0; i < 6; i++)
		assert_int_equal(d->region[i].size, zoo_e1000e.bars[i].size);
	assert_true(d->region[VFIO_PCI_CONFIG_REGION_INDEX].size >= 256);
	assert_int_equal(d->region[VFIO_PCI_VGA_REGION_INDEX].size, 0);
	assert_int_equal(d->irq[VFIO_PCI_INTX_IRQ_INDEX].count, 1);
	assert_true(d->irq[VFIO_PCI_INTX_IRQ_INDEX].flags & VFIO_IRQ_INFO_AUTOMASKED);
	assert_true(d->irq[VFIO_PCI_MSIX_IRQ_INDEX].count > 1);
	assert_int_equal(d->irq[VFIO_PCI_REQ_IRQ_INDEX].count, 1);
	assert_int_equal(vfio_cfg_read(d, PCI_VENDOR_ID, 2), zoo_e1000e.vendor);
	assert_int_equal(vfio_cfg_read(d, PCI_VENDOR_ID, 4),
			 zoo_e1000e.vendor | (uint32_t)zoo_e1000e.device << 16);
	assert_true(vfio_device_alive(d));
	vfio_device_close(d);
	assert_false(fake_dev_is_open(f));
	vfio_device_close(NULL);
}

static void test_every_animal_opens_and_closes(void **state)
{
	(void)state;
	vfio_container_put(c);
	for (size_t i = 0; i < zoo_count; i++) {
		setup_for(zoo_all[i]);
		struct vfio_device *d = open_it();

		for (unsigned int r = 0; r < VFIO_N_REGIONS; r++) {
			for (unsigned int a = 0; a < d->region[r].n_areas; a++) {
				const struct vfio_mmap_area *m = &d->region[r].area[a];

				assert_int_equal((m->off | m->size) % 4096, 0);
				assert_true(m->size > 0 &&
					    m->off + m->size <= ALIGN_UP(d->region[r].size, 4096));
			}
		}
		assert_true(vfio_device_alive(d));
		vfio_device_close(d);
		vfio_container_put(c);
		c = NULL;
		fake_assert_clean();
	}
}

static void test_sparse_list_is_honoured(void **state)
{
	(void)state;
	vfio_container_put(c);
	setup_for(&zoo_sparse);
	struct vfio_device *d = open_it();
	const struct vfio_region *rg = &d->region[0];

	for (unsigned int i = 0; i < rg->n_areas; i++) {
		assert_int_equal(rg->area[i].off, zoo_sparse.bars[0].sparse[i].off);
		assert_int_equal(rg->area[i].size, zoo_sparse.bars[0].sparse[i].size);
	}
	assert_int_equal(rg->n_areas, 3);

	void *hva = NULL;

	assert_int_equal(vfio_cfg_write(d, PCI_COMMAND, PCI_COMMAND_MEMORY, 2), 0);
	if (vfio_region_mmap(d, 0, rg->area[1].off, rg->area[1].size, 4096, &hva, &err) < 0)
		fail_msg("%s", err.msg);
	assert_true(fake_dev_bar_mapped(f, 0, rg->area[1].off, rg->area[1].size));
	vfio_region_munmap(hva, rg->area[1].size);
	vfio_device_close(d);
}

static void test_two_functions_of_a_group_share_it(void **state)
{
	(void)state;
	struct vfio_device *gpu = NULL, *audio = NULL;
	struct bdf a = at("0000:05:00.0"), b = at("0000:05:00.1");

	add_gpu();
	assert_int_equal(vfio_device_open(c, &a, &gpu, &err), 0);
	assert_int_equal(vfio_device_open(c, &b, &audio, &err), 0);
	assert_ptr_equal(gpu->group, audio->group);
	vfio_device_close(gpu);
	assert_int_equal(fake_groups_attached(), 1);
	vfio_device_close(audio);
	assert_int_equal(fake_groups_attached(), 0);
}

/* --- refusals ------------------------------------------------------------------------------- */

static void test_function_that_vfio_does_not_have(void **state)
{
	(void)state;
	add_gpu();
	fake_dev_bind(fake_dev_find("0000:05:00.1"), "");
	assert_refused("0000:05:00.1", -ENODEV,
		       "0000:05:00.1 is not bound to vfio-pci but to no driver "
		       "(run: vfio-bind 0000:05:00.1)");
	fake_dev_bind(fake_dev_find("0000:05:00.1"), "pci-stub");
	assert_refused("0000:05:00.1", -ENODEV,
		       "0000:05:00.1: VFIO does not have this function, its "
		       "driver is pci-stub (run: vfio-bind 0000:05:00.1)");
}

static void test_groups_trouble_names_the_function(void **state)
{
	(void)state;
	fake_path_errno("/dev/vfio/14", EBUSY);
	assert_refused(NAME, -EBUSY,
		       NAME ": group 14 is in use: another process has /dev/vfio/14 open "
			    "(run: fuser -v /dev/vfio/14)");
}

static void fail_get_fd(int e)
{
	fake_fault_clear();
	fake_fault_add(&(struct fake_fault){ .calls = BIT32(FAKE_CALL_IOCTL),
					     .request = VFIO_GROUP_GET_DEVICE_FD,
					     .nth = 1,
					     .times = 1,
					     .err = e });
}

static void test_each_reason_why_the_function_does_not_open(void **state)
{
	(void)state;
	static const struct {
		int err;
		const char *says;
	} cases[] = {
		{ EBUSY, NAME " is in use: another process has the function open" },
		{ EACCES, NAME
		  " needs a VF token: VFIO has its physical function, too, or virtual functions "
		  "of it; give vf-token=UUID, or give those back to their host driver (run: "
		  "vfio-bind --restore)" },
		{ EIO,
		  NAME " does not wake up (EIO): it may be stuck in D3cold; a power cycle of the "
		       "machine brings it back" },
		{ ENOMEM, NAME ": opening the function (VFIO_GROUP_GET_DEVICE_FD): Cannot allocate "
			       "memory" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		fail_get_fd(cases[i].err);
		assert_refused(NAME, -cases[i].err, cases[i].says);
	}
	fake_fault_clear();
}

/* --- doctored answers ----------------------------------------------------------------------- */

static struct vfio_device_info info;
static struct vfio_irq_info irq;
static struct vfio_region_info cfg;

static int doctored_ioctl(int fd, unsigned long request, void *arg)
{
	int r = sys_fake.ioctl(fd, request, arg);

	if (request == VFIO_DEVICE_GET_INFO && info.argsz) {
		((struct vfio_device_info *)arg)->flags = info.flags;
		((struct vfio_device_info *)arg)->num_regions = info.num_regions;
		((struct vfio_device_info *)arg)->num_irqs = info.num_irqs;
	}
	if (request == VFIO_DEVICE_GET_IRQ_INFO && irq.argsz)
		((struct vfio_irq_info *)arg)->count = irq.count;
	if (request == VFIO_DEVICE_GET_REGION_INFO && cfg.argsz &&
	    ((struct vfio_region_info *)arg)->index == VFIO_PCI_CONFIG_REGION_INDEX)
		((struct vfio_region_info *)arg)->size = cfg.size;
	return r;
}

static void doctor(void)
{
	memset(&info, 0, sizeof(info));
	memset(&irq, 0, sizeof(irq));
	memset(&cfg, 0, sizeof(cfg));
	ops.ioctl = doctored_ioctl;
	sys = &ops;
}

static void test_what_is_no_pci_function_is_refused(void **state)
{
	(void)state;
	doctor();
	info = (struct vfio_device_info){ 1, VFIO_DEVICE_FLAGS_PLATFORM, 9, 5, 0 };
	assert_refused(NAME, -ENOTSUP, NAME ": its VFIO driver does not present a PCI function");
	info = (struct vfio_device_info){ 1, VFIO_DEVICE_FLAGS_PCI, 7, 5, 0 };
	assert_refused(NAME, -ENOTSUP, NAME ": its VFIO driver does not present a PCI function");
	info.argsz = 0;
	cfg = (struct vfio_region_info){ .argsz = 1, .size = 64 };
	assert_refused(NAME, -ENOTSUP, NAME ": its VFIO driver gives no PCI configuration space");
}

static void test_counts_beyond_pci_are_cut(void **state)
{
	(void)state;
	doctor();
	info = (struct vfio_device_info){ 1, VFIO_DEVICE_FLAGS_PCI, UINT32_MAX, UINT32_MAX, 0 };
	irq = (struct vfio_irq_info){ .argsz = 1, .count = UINT32_MAX };
	struct vfio_device *d = open_it();

	assert_int_equal(d->irq[VFIO_PCI_INTX_IRQ_INDEX].count, 1);
	assert_int_equal(d->irq[VFIO_PCI_MSI_IRQ_INDEX].count, 32);
	assert_int_equal(d->irq[VFIO_PCI_MSIX_IRQ_INDEX].count, 2048);
	vfio_device_close(d);
}

static void test_fewer_regions_and_interrupts_are_absent_ones(void **state)
{
	(void)state;
	doctor();
	info = (struct vfio_device_info){ 1, VFIO_DEVICE_FLAGS_PCI, 8, 3, 0 };
	struct vfio_device *d = open_it();

	assert_int_equal(d->irq[VFIO_PCI_REQ_IRQ_INDEX].count, 0);
	assert_int_equal(vfio_region_read(d, VFIO_PCI_VGA_REGION_INDEX, 0, 1), 0xff);
	assert_int_equal(vfio_device_reset(d, &err), -EOPNOTSUPP);
	vfio_device_close(d);
}

/* --- reset and life ------------------------------------------------------------------------- */

static void test_reset(void **state)
{
	(void)state;
	struct vfio_device *d = open_it();

	assert_int_equal(vfio_device_reset(d, &err), 0);
	assert_int_equal(fake_dev_resets(f), 2); /* with the open's */
	vfio_device_close(d);
}

static void test_no_reset_is_said(void **state)
{
	(void)state;
	vfio_container_put(c);
	setup_for(&zoo_noreset);
	struct vfio_device *d = open_it();

	assert_int_equal(vfio_device_reset(d, &err), -EOPNOTSUPP);
	assert_string_equal(err.msg,
			    NAME " has no reset: its state is kept from one guest to the next");
	vfio_device_close(d);
}

static void fail_reset(int e, unsigned int times)
{
	fake_fault_clear();
	fake_fault_add(&(struct fake_fault){ .calls = BIT32(FAKE_CALL_IOCTL),
					     .request = VFIO_DEVICE_RESET,
					     .nth = 1,
					     .times = times,
					     .err = e });
}

static void test_failed_reset_names_the_method(void **state)
{
	(void)state;
	struct vfio_device *d = open_it();

	strcpy(d->reset_method, "pm bus");
	fail_reset(EIO, 0);
	assert_int_equal(vfio_device_reset(d, &err), -EIO);
	assert_string_equal(err.msg,
			    NAME ": its reset failed (method: pm bus): Input/output error");
	verr_clear(&err);
	d->reset_method[0] = '\0';
	assert_int_equal(vfio_device_reset(d, &err), -EIO);
	assert_string_equal(err.msg,
			    NAME ": its reset failed (method: unknown): Input/output error");
	fake_fault_clear();
	vfio_device_close(d);
}

static void test_reset_waits_for_the_functions_lock(void **state)
{
	(void)state;
	struct vfio_device *d = open_it();

	fail_reset(EAGAIN, 3);
	assert_int_equal(vfio_device_reset(d, &err), 0);
	assert_int_equal(fake_dev_resets(f), 2); /* with the open's */
	fail_reset(EAGAIN, 0);			 /* but not for ever */
	assert_int_equal(vfio_device_reset(d, &err), -EAGAIN);
	fake_fault_clear();
	vfio_device_close(d);
}

/* What config space answers from now on; -1: the truth. */
static int vendor = -1;

static ssize_t doctored_pread(int fd, void *buf, size_t len, off_t off)
{
	ssize_t r = sys_fake.pread(fd, buf, len, off);
	const char *name = fake_fd_name(fd);

	if (r > 0 && vendor >= 0 && name && strstr(name, "/config"))
		memset(buf, vendor, (size_t)r);
	return r;
}

static void test_function_that_does_not_come_back(void **state)
{
	(void)state;
	struct vfio_device *d = open_it();

	ops.pread = doctored_pread;
	sys = &ops;
	vendor = 0xff;
	assert_int_equal(vfio_device_reset(d, &err), -EIO);
	assert_non_null(strstr(err.msg, NAME " did not come back from its reset (method: "));
	assert_non_null(strstr(err.msg,
			       "): its vendor id reads 0xffff; a power cycle of the machine "
			       "brings it back"));
	assert_false(vfio_device_alive(d));
	vendor = -1;
	assert_true(vfio_device_alive(d));
	vfio_device_close(d);
}

static void test_removed_function_is_dead(void **state)
{
	(void)state;
	struct vfio_device *d = open_it();

	fake_dev_remove(f);
	assert_false(vfio_device_alive(d));
	vfio_device_close(d);
}

static void test_virtual_function_is_alive_with_ids_of_ones(void **state)
{
	(void)state;
	vfio_container_put(c);
	setup_for(&zoo_vf);
	struct vfio_device *d = open_it();

	assert_int_equal(vfio_cfg_read(d, PCI_VENDOR_ID, 2), zoo_vf.vendor);
	assert_true(vfio_device_alive(d));
	assert_int_equal(vfio_device_reset(d, &err), 0);
	ops.pread = doctored_pread;
	sys = &ops;
	vendor = 0xff;
	assert_false(vfio_device_alive(d));
	vendor = -1;
	vfio_device_close(d);
}

static void test_what_can_t_be_asked_is_not_declared_dead(void **state)
{
	(void)state;
	static const struct {
		int err;
		bool alive;
	} cases[] = {
		{ EMFILE, true }, { ENFILE, true },  { ENOMEM, true },	{ EACCES, true },
		{ EPERM, true },  { ENOENT, false }, { ENODEV, false }, { EIO, false },
	};
	struct vfio_device *d = open_it();

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		fake_fault_clear();
		fake_fault_add(&(struct fake_fault){ .calls = BIT32(FAKE_CALL_OPEN),
						     .path = "*/config",
						     .nth = 1,
						     .err = cases[i].err });
		assert_int_equal(vfio_device_alive(d), cases[i].alive);
	}
	fake_fault_clear();
	vfio_device_close(d);
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
	struct vfio_device *d = NULL;
	struct bdf b = at(NAME);
	void *hva;
	(void)opaque;

	int r = vfio_container_open(&sc, verr);

	if (r < 0)
		return verr_prefix(verr, r, NAME);
	r = vfio_device_open(sc, &b, &d, verr);
	if (r == 0)
		r = vfio_device_reset(d, verr);
	if (r == 0)
		r = vfio_region_mmap(d, 0, 0, d->region[0].size, MIB(2), &hva, verr);
	if (r == 0)
		vfio_region_munmap(hva, d->region[0].size);
	vfio_device_close(d);
	vfio_container_put(sc);
	return r;
}

static void test_sweep(void **state)
{
	(void)state;
	struct fake_sweep s = {
		.name = "device-open",
		.setup = sweep_setup,
		.run = sweep_run,
		.names = NAME,
	};

	vfio_container_put(c);
	c = NULL;
	assert_int_equal(fault_sweep(&s, NULL), 0);
	/* Calls that undo may fail, too: fds and mappings go all the same. */
	s.name = "device-open-undo";
	s.undo = true;
	s.names = NULL;
	assert_int_equal(fault_sweep(&s, NULL), 0);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_open_reads_everything_once),
		T(test_every_animal_opens_and_closes),
		T(test_sparse_list_is_honoured),
		T(test_two_functions_of_a_group_share_it),
		T(test_function_that_vfio_does_not_have),
		T(test_groups_trouble_names_the_function),
		T(test_each_reason_why_the_function_does_not_open),
		T(test_what_is_no_pci_function_is_refused),
		T(test_counts_beyond_pci_are_cut),
		T(test_fewer_regions_and_interrupts_are_absent_ones),
		T(test_reset),
		T(test_no_reset_is_said),
		T(test_failed_reset_names_the_method),
		T(test_reset_waits_for_the_functions_lock),
		T(test_function_that_does_not_come_back),
		T(test_removed_function_is_dead),
		T(test_virtual_function_is_alive_with_ids_of_ones),
		T(test_what_can_t_be_asked_is_not_declared_dead),
		T(test_sweep),
	};

	sys = &sys_fake;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
