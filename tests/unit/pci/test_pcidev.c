// SPDX-License-Identifier: GPL-2.0-or-later
// A function whole: interrupts through every mode, order of a write, resets, and nothing left.
#include "rec.h"

#include <dirent.h>
#include <errno.h>

static struct rig g;

static int setup(void **state)
{
	(void)state;
	rig_init(&g);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	rig_free(&g);
	return 0;
}

static const struct tspec full = {
	.pcie = true,
	.flr = true,
	.pm = true,
	.pin = 1,
	.msi_n = 4,
	.bar = { { PCIBAR_MEM32, false, KIB(16), 0 } },
	.msix_n = 5,
	.toff = 0x2000,
	.poff = 0x3000,
};

static struct tdev *make(void)
{
	struct tdev *t = rig_tdev(&g, "t", NULL, "03", full);
	rig_start(&g);
	rig_place(&g);
	pcidev_cfg_write(&t->pd, PCI_COMMAND, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER, 2);
	t->log[0] = '\0';
	return t;
}

static void entry(struct tdev *t, unsigned int vec, uint32_t data, uint32_t mask)
{
	uint64_t at = t->pd.bar[0].gpa + 0x2000 + vec * 16;
	mmio_w(&g, at, 0xfee00000, 8);
	mmio_w(&g, at + 8, data, 4);
	mmio_w(&g, at + 12, mask, 4);
}

static void msix_ctl(struct tdev *t, uint32_t val)
{
	pcidev_cfg_write(&t->pd, t->pd.msix->off + PCI_MSIX_FLAGS, val, 2);
}

static void msi_ctl(struct tdev *t, uint32_t val)
{
	pcidev_cfg_write(&t->pd, t->pd.msi->off + PCI_MSI_ADDRESS_LO, 0xfee00000, 4);
	pcidev_cfg_write(&t->pd, t->pd.msi->off + PCI_MSI_DATA_64, 0x60, 2);
	pcidev_cfg_write(&t->pd, t->pd.msi->off + PCI_MSI_FLAGS, val, 2);
}

static unsigned int got(uint32_t data)
{
	rec_poll(&g.chip);
	return rec_got(&g.chip, data);
}

#define MSIX_ON PCI_MSIX_FLAGS_ENABLE
#define MSI_ON	PCI_MSI_FLAGS_ENABLE

/* ---- MSI-X ----------------------------------------------------------------------------------- */

static void test_msix_one_commit_per_batch(void **state)
{
	struct tdev *t = make();
	(void)state;
	for (unsigned int i = 0; i < 5; i++)
		entry(t, i, 0x40 + i, 0);
	assert_int_equal(rec_routes(&g.chip), 0); /* lazy */
	g.chip.commits = 0;
	msix_ctl(t, MSIX_ON);
	assert_int_equal(g.chip.commits, 1);
	assert_int_equal(rec_routes(&g.chip), 5);
	assert_int_equal(g.chip.binds, 5);
	assert_string_equal(t->log, "msix live live live live live settled written ");
	for (unsigned int i = 0; i < 5; i++)
		pcidev_notify(&t->pd, i);
	pcidev_notify(&t->pd, 5); /* not one of them */
	for (unsigned int i = 0; i < 5; i++)
		assert_int_equal(got(0x40 + i), 1);
}

static void test_masking_costs_no_commit_and_unmasking_delivers_once(void **state)
{
	struct tdev *t = make();
	(void)state;
	entry(t, 0, 0x40, 0);
	entry(t, 1, 0x41, 0);
	msix_ctl(t, MSIX_ON);
	g.chip.commits = 0;
	mmio_w(&g, t->pd.bar[0].gpa + 0x200c, 1, 4);
	assert_int_equal(g.chip.commits, 0);
	for (unsigned int i = 0; i < 3; i++)
		pcidev_notify(&t->pd, 0);
	assert_int_equal(got(0x40), 0);
	assert_int_equal(mmio_r(&g, t->pd.bar[0].gpa + 0x3000, 8), 1);
	mmio_w(&g, t->pd.bar[0].gpa + 0x200c, 0, 4);
	assert_int_equal(got(0x40), 1);
	assert_int_equal(mmio_r(&g, t->pd.bar[0].gpa + 0x3000, 8), 0);
	/* The function mask is the same for all at once. */
	msix_ctl(t, MSIX_ON | PCI_MSIX_FLAGS_MASKALL);
	pcidev_notify(&t->pd, 0);
	pcidev_notify(&t->pd, 1);
	assert_int_equal(mmio_r(&g, t->pd.bar[0].gpa + 0x3000, 8), 3);
	msix_ctl(t, MSIX_ON);
	assert_int_equal(got(0x40), 2);
	assert_int_equal(got(0x41), 1);
}

static void test_disable_releases_routes_and_falls_back_to_intx(void **state)
{
	struct tdev *t = make();
	(void)state;
	assert_int_equal(t->pd.irq_mode, PCI_IRQ_INTX);
	entry(t, 0, 0x40, 0);
	msix_ctl(t, MSIX_ON);
	assert_int_equal(t->mode, PCI_IRQ_MSIX);
	t->log[0] = '\0';
	g.chip.commits = 0;
	msix_ctl(t, 0);
	assert_string_equal(t->log, "dead intx settled written ");
	assert_int_equal(rec_routes(&g.chip), 0);
	assert_int_equal(g.chip.commits, 1);
	pcidev_notify(&t->pd, 0);
	assert_true(g.chip.level[t->pd.intx.gsi]);
	pcidev_intx_set(&t->pd, false);
	/* Nothing that fired meanwhile comes back. */
	msix_ctl(t, MSIX_ON);
	assert_int_equal(got(0x40), 0);
}

static void test_two_thousand_vectors_cost_nothing_until_used(void **state)
{
	struct tspec s = { .pcie = true,
			   .bar = { { PCIBAR_MEM32, false, KIB(64), 0 } },
			   .msix_n = 2048,
			   .toff = 0x2000,
			   .poff = 0xa000 };
	struct tdev *t = rig_tdev(&g, "t", NULL, NULL, s);
	(void)state;
	rig_start(&g);
	rig_place(&g);
	pcidev_cfg_write(&t->pd, PCI_COMMAND, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER, 2);
	msix_ctl(t, MSIX_ON);
	assert_int_equal(rec_routes(&g.chip), 0);
	for (unsigned int i = 0; i < 2048; i++)
		assert_int_equal(t->pd.vec[i].fd, -1);
	entry(t, 2047, 0x99, 0);
	assert_int_equal(rec_routes(&g.chip), 1);
	pcidev_notify(&t->pd, 2047);
	assert_int_equal(got(0x99), 1);
}

static void test_exhausted_routes_silence_one_vector_only(void **state)
{
	struct tdev *t = make();
	(void)state;
	g.chip.limit = 2;
	for (unsigned int i = 0; i < 5; i++)
		entry(t, i, 0x40 + i, 0);
	msix_ctl(t, MSIX_ON);
	assert_int_equal(rec_routes(&g.chip), 2);
	assert_true(t->live[1]);
	assert_false(t->live[2]);
	pcidev_notify(&t->pd, 1);
	pcidev_notify(&t->pd, 4);
	assert_int_equal(got(0x41), 1);
	assert_int_equal(got(0x44), 0);
	msix_ctl(t, 0);
	assert_int_equal(rec_routes(&g.chip), 0);
}

static void test_refused_commits_and_binds_leave_the_vector_dead(void **state)
{
	struct tdev *t = make();
	(void)state;
	entry(t, 0, 0x40, 0);
	g.chip.fail_commit = -EIO;
	msix_ctl(t, MSIX_ON);
	assert_false(t->live[0]);
	g.chip.fail_commit = 0;
	g.chip.fail_bind = -ENOSPC;
	entry(t, 0, 0x41, 0);
	assert_false(t->live[0]);
	g.chip.fail_bind = 0;
	pcidev_notify(&t->pd, 0);
	entry(t, 0, 0x41, 0); /* touched again: tried again, and what waited comes */
	assert_true(t->live[0]);
	assert_int_equal(got(0x41), 1);
}

static void test_messages_need_bus_mastering(void **state)
{
	struct tdev *t = make();
	(void)state;
	entry(t, 0, 0x40, 0);
	msix_ctl(t, MSIX_ON);
	pcidev_cfg_write(&t->pd, PCI_COMMAND, PCI_COMMAND_MEMORY, 2);
	pcidev_notify(&t->pd, 0);
	assert_int_equal(got(0x40), 0);
	pcidev_cfg_write(&t->pd, PCI_COMMAND, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER, 2);
	pcidev_notify(&t->pd, 0);
	assert_int_equal(got(0x40), 1);
}

/* ---- MSI, and both --------------------------------------------------------------------------- */

static void test_msi_vectors_share_when_fewer_are_granted(void **state)
{
	struct tdev *t = make();
	(void)state;
	msi_ctl(t, MSI_ON | 1 << 4);
	assert_int_equal(t->mode, PCI_IRQ_MSI);
	assert_string_equal(t->log, "written written msi live live settled written ");
	for (unsigned int i = 0; i < 4; i++) {
		pcidev_notify(&t->pd, i);
		rec_poll(&g.chip); /* before the next one falls into the same eventfd */
	}
	assert_int_equal(got(0x60), 2);
	assert_int_equal(got(0x61), 2);
	pcidev_cfg_write(&t->pd, t->pd.msi->off + PCI_MSI_MASK_64, 1, 4);
	pcidev_notify(&t->pd, 0);
	assert_int_equal(pcidev_cfg_read(&t->pd, t->pd.msi->off + 20, 4), 1);
	assert_int_equal(got(0x60), 2);
	pcidev_cfg_write(&t->pd, t->pd.msi->off + PCI_MSI_MASK_64, 0, 4);
	assert_int_equal(got(0x60), 3);
	msi_ctl(t, 0);
	assert_int_equal(rec_routes(&g.chip), 0);
	assert_int_equal(t->mode, PCI_IRQ_INTX);
}

static void test_both_enabled_msix_counts_and_msi_comes_back(void **state)
{
	struct tdev *t = make();
	(void)state;
	entry(t, 0, 0x40, 0);
	msi_ctl(t, MSI_ON);
	msix_ctl(t, MSIX_ON);
	assert_int_equal(t->mode, PCI_IRQ_MSIX);
	assert_int_equal(rec_routes(&g.chip), 1);
	pcidev_notify(&t->pd, 0);
	assert_int_equal(got(0x40), 1);
	msi_ctl(t, MSI_ON | 2 << 4); /* not heard */
	assert_int_equal(t->mode, PCI_IRQ_MSIX);
	assert_int_equal(rec_routes(&g.chip), 1);
	msix_ctl(t, 0);
	assert_int_equal(t->mode, PCI_IRQ_MSI);
	assert_int_equal(rec_routes(&g.chip), 4);
	pcidev_notify(&t->pd, 3);
	assert_int_equal(got(0x63), 1);
	msi_ctl(t, 0);
	assert_int_equal(t->mode, PCI_IRQ_INTX);
	assert_int_equal(rec_routes(&g.chip), 0);
}

static void test_random_guests_never_leak_or_lose_a_mode(void **state)
{
	struct tdev *t = make();
	uint32_t x = 23;
	(void)state;
	for (unsigned int i = 0; i < 30000; i++) {
		x = x * 1664525 + 1013904223;
		switch ((x >> 28) % 6) {
		case 0:
			msix_ctl(t, x >> 8);
			break;
		case 1:
			msi_ctl(t, x >> 8);
			break;
		case 2:
			mmio_w(&g, t->pd.bar[0].gpa + 0x2000 + (x >> 8) % 96, x << 7 ^ x,
			       1U << (x >> 20) % 4);
			break;
		case 3:
			pcidev_notify(&t->pd, (x >> 8) % 8);
			rec_poll(&g.chip);
			break;
		case 4:
			pcidev_cfg_write(&t->pd, 0x40 + ((x >> 8) % 0x80 & ~3U), x ^ x << 9, 4);
			break;
		default:
			if ((x >> 8) % 64 == 0) {
				dev_reset(&t->pd.dev);
				pcidev_cfg_write(&t->pd, PCI_COMMAND, 6, 2);
			}
		}
		bool msix = t->pd.msix->enabled, msi = t->pd.msi->enabled;
		assert_int_equal(t->pd.irq_mode, msix  ? PCI_IRQ_MSIX
						 : msi ? PCI_IRQ_MSI
						       : PCI_IRQ_INTX);
		unsigned int live = 0;
		for (unsigned int v = 0; v < t->pd.n_vec; v++)
			live += t->pd.vec[v].bound;
		assert_true(rec_routes(&g.chip) >= live);
		if (!msix && !msi)
			assert_int_equal(rec_routes(&g.chip), 0);
	}
}

/* ---- INTx ------------------------------------------------------------------------------------ */

static void test_intx_follows_command_and_mode(void **state)
{
	struct tdev *t = make();
	bool *line = &g.chip.level[t->pd.intx.gsi];
	(void)state;
	pcidev_intx_set(&t->pd, true);
	assert_true(*line);
	pcidev_cfg_write(&t->pd, PCI_COMMAND, PCI_COMMAND_INTX_DISABLE, 2);
	assert_false(*line);
	assert_true(pcidev_cfg_read(&t->pd, PCI_STATUS, 2) & PCI_STATUS_INTERRUPT);
	pcidev_cfg_write(&t->pd, PCI_COMMAND, PCI_COMMAND_MEMORY, 2);
	assert_true(*line);
	msi_ctl(t, MSI_ON);
	assert_false(*line);
	msi_ctl(t, 0);
	assert_true(*line);
	dev_reset(&t->pd.dev);
	assert_false(*line);
	assert_false(pcidev_cfg_read(&t->pd, PCI_STATUS, 2) & PCI_STATUS_INTERRUPT);
}

static void test_functions_share_a_line(void **state)
{
	struct tspec s = { .pin = 1 };
	struct tdev *a = rig_tdev(&g, "a", NULL, "03", s);
	struct tdev *b = rig_tdev(&g, "b", NULL, "0b", s); /* eight further: same gsi */
	(void)state;
	assert_int_equal(a->pd.intx.gsi, b->pd.intx.gsi);
	pcidev_intx_set(&a->pd, true);
	pcidev_intx_set(&b->pd, true);
	pcidev_intx_set(&a->pd, false);
	assert_true(g.chip.level[b->pd.intx.gsi]);
	rig_del(&g, &b->pd); /* takes its level along */
	assert_false(g.chip.level[a->pd.intx.gsi]);
}

/* ---- resets ---------------------------------------------------------------------------------- */

static void test_function_level_reset(void **state)
{
	struct tdev *t = make();
	unsigned int ctl = t->pd.exp_off + PCI_EXP_DEVCTL;
	(void)state;
	entry(t, 0, 0x40, 0);
	msix_ctl(t, MSIX_ON);
	t->log[0] = '\0';
	pcidev_cfg_write(&t->pd, ctl, pcidev_cfg_read(&t->pd, ctl, 2) | PCI_EXP_DEVCTL_BCR_FLR, 2);
	assert_string_equal(t->log, "disable dead intx settled reset ");
	assert_int_equal(pcidev_cfg_read(&t->pd, PCI_COMMAND, 2), 0);
	assert_int_equal(pcidev_cfg_read(&t->pd, PCI_BASE_ADDRESS_0, 4), 0);
	assert_false(pcidev_cfg_read(&t->pd, ctl, 2) & PCI_EXP_DEVCTL_BCR_FLR);
	assert_int_equal(rec_routes(&g.chip), 0);
	t->resets = 0;
	pcidev_cfg_write(&t->pd, ctl + 1, 0x7f, 1); /* every bit but that one */
	assert_int_equal(t->resets, 0);
	pcidev_cfg_write(&t->pd, ctl + 1, 0x80, 1);
	assert_int_equal(t->resets, 1);
	pcidev_cfg_write(&t->pd, ctl, 0x80000000, 4); /* that bit of the status register */
	assert_int_equal(t->resets, 1);
}

static void test_machine_reset_restores_the_firmwares_state(void **state)
{
	struct tdev *t = make();
	(void)state;
	uint64_t gpa = t->pd.bar[0].gpa;
	entry(t, 0, 0x40, 0);
	msix_ctl(t, MSIX_ON);
	pcidev_cfg_write(&t->pd, PCI_BASE_ADDRESS_0, 0xd7000000, 4);
	pcidev_cfg_write(&t->pd, t->pd.pm_off + PCI_PM_CTRL, 3, 2);
	dev_reset(&t->pd.dev);
	assert_true(t->pd.bar[0].active && t->pd.bar[0].gpa == gpa);
	assert_int_equal(pcidev_cfg_read(&t->pd, PCI_COMMAND, 2), PCI_COMMAND_MEMORY);
	assert_int_equal(rec_routes(&g.chip), 0);
	assert_int_equal(mmio_r(&g, gpa + 0x2000, 8), 0);
	assert_int_equal(mmio_r(&g, gpa + 0x200c, 4), 1);
}

/* ---- hooks, hardware ------------------------------------------------------------------------- */

static struct {
	uint32_t swallow_off;
	char log[256];
	uint8_t reg[256];
} hk;

static bool hook(struct pcidev *pd, unsigned int off, uint32_t *val, unsigned int size)
{
	(void)size;
	strcat(hk.log, pd->bar[0].active ? "hook+ " : "hook- ");
	if (off == 0x80)
		*val |= 0x100;
	return off == hk.swallow_off;
}

static uint32_t hw_read(void *opaque, unsigned int off, unsigned int size)
{
	(void)opaque;
	return (uint32_t)get_le(&hk.reg[off], size);
}

static void hw_write(void *opaque, unsigned int off, uint32_t val, unsigned int size)
{
	const struct pcidev *pd = opaque;
	strcat(hk.log, pd->bar[0].active ? "hw+ " : "hw- ");
	put_le(&hk.reg[off], val, size);
}

static void hk_enable(struct pcidev *pd, unsigned int bar)
{
	(void)pd;
	(void)bar;
	strcat(hk.log, (hk.reg[4] & 2) != 0 ? "enable(hw on) " : "enable(hw off) ");
}

static void hk_disable(struct pcidev *pd, unsigned int bar)
{
	(void)bar;
	strcat(hk.log, (hk.reg[4] & 2) != 0 ? "disable(hw on) " : "disable(hw off) ");
	assert_true((pcicfg_get(&pd->cfg, 4, 2) & 2) != 0); /* the shadow is still the old one */
}

static const struct pcicfg_hw hk_hw = { .read = hw_read, .write = hw_write };
static const struct pcidev_ops hk_ops = {
	.cfg_write_hook = hook,
	.hw = &hk_hw,
	.bar_enable = hk_enable,
	.bar_disable = hk_disable,
};

static void test_order_of_a_forwarded_write(void **state)
{
	struct pcidev pd;
	(void)state;
	memset(&pd, 0, sizeof(pd));
	memset(&hk, 0, sizeof(hk));
	pd.dev.plat = &g.plat;
	pcidev_init(&pd, &hk_ops, false, false);
	assert_int_equal(pcidev_add_bar(&pd, 0, PCIBAR_MEM32, false, 4096, NULL), 0);
	pcicfg_set_fwd(&pd.cfg, PCI_COMMAND, 2, 7);
	pcicfg_set(&pd.cfg, 0x80, 4, 0, UINT32_MAX);
	assert_int_equal(pcidev_attach(&pd, NULL), 0);
	pcidev_cfg_write(&pd, PCI_BASE_ADDRESS_0, 0xd0000000, 4);
	hk.log[0] = '\0';
	pcidev_cfg_write(&pd, PCI_COMMAND, 2, 2);
	assert_string_equal(hk.log, "hook- hw- enable(hw on) ");
	hk.log[0] = '\0';
	pcidev_cfg_write(&pd, PCI_COMMAND, 0, 2);
	assert_string_equal(hk.log, "hook+ disable(hw on) hw- ");
	hk.swallow_off = 0x84;
	pcidev_cfg_write(&pd, 0x80, 1, 4);
	assert_int_equal(pcidev_cfg_read(&pd, 0x80, 4), 0x101);
	pcicfg_set(&pd.cfg, 0x84, 4, 0, UINT32_MAX);
	pcidev_cfg_write(&pd, 0x84, 1, 4);
	assert_int_equal(pcidev_cfg_read(&pd, 0x84, 4), 0);
	pcidev_cfg_write(&pd, 0x100, 0, 4); /* beyond a conventional function */
	assert_int_equal(pcidev_cfg_read(&pd, 0x100, 4), UINT32_MAX);
	pcidev_fini(&pd);
	pcidev_fini(&pd);
}

/* ---- teardown in any state ------------------------------------------------------------------- */

static unsigned int open_fds(void)
{
	unsigned int n = 0;
	DIR *d = opendir("/proc/self/fd");
	assert_non_null(d);
	while (readdir(d) != NULL)
		n++;
	closedir(d);
	return n;
}

static int fail_after, fail_errno;
static const struct sys_ops *real_sys;

static int failing_eventfd(unsigned int initval, int flags)
{
	if (fail_after-- == 0)
		return fail_errno;
	return real_sys->eventfd(initval, flags);
}

static void test_no_eventfd_silences_the_vector_and_leaks_nothing(void **state)
{
	unsigned int fds = open_fds();
	struct sys_ops ops = *sys;
	(void)state;
	real_sys = sys;
	ops.eventfd = failing_eventfd;
	fail_errno = -EMFILE;
	for (int n = 0; n < 5; n++) {
		struct tdev *t = make();
		for (unsigned int i = 0; i < 5; i++)
			entry(t, i, 0x40 + i, 0);
		sys = &ops;
		fail_after = n;
		msix_ctl(t, MSIX_ON);
		assert_int_equal(t->vectors, 4);
		assert_false(t->live[n]);
		sys = real_sys;
		mmio_w(&g, t->pd.bar[0].gpa + 0x200c + (unsigned int)n * 16, 0,
		       4); /* tries again */
		assert_true(t->live[n]);
		rig_del(&g, &t->pd);
		assert_int_equal(rec_routes(&g.chip), 0);
		assert_int_equal(open_fds(), fds);
	}
}

static void test_fini_with_everything_on_leaves_nothing(void **state)
{
	unsigned int fds = open_fds();
	struct tdev *t = make();
	(void)state;
	entry(t, 0, 0x40, 0);
	entry(t, 3, 0x43, 0);
	msix_ctl(t, MSIX_ON);
	pcidev_intx_set(&t->pd, true);
	rig_del(&g, &t->pd);
	assert_int_equal(rec_routes(&g.chip), 0);
	assert_int_equal(open_fds(), fds);
	assert_null(pcibus_lookup(&g.root, 0, 3 << 3));
	assert_null(aspace_find(&g.mmio, 0xc0000000));
}

static void test_fini_of_what_never_was(void **state)
{
	struct pcidev pd;
	(void)state;
	memset(&pd, 0, sizeof(pd));
	pcidev_fini(&pd);
	pd.dev.plat = &g.plat;
	pd.common.id = strdup("x");
	pcidev_init(&pd, NULL, true, false);
	assert_int_equal(pcidev_add_msi(&pd, 0, 32, true, true, NULL), 0);
	pcidev_fini(&pd);
	assert_null(pd.common.id);
}

static void test_vectors_cover_msi_and_msix(void **state)
{
	struct pcidev pd;
	struct verr err = { 0 };
	(void)state;
	memset(&pd, 0, sizeof(pd));
	pd.dev.plat = &g.plat;
	pcidev_init(&pd, NULL, true, false);
	assert_int_equal(pcidev_add_bar(&pd, 0, PCIBAR_MEM32, false, 4096, NULL), 0);
	assert_int_equal(pcidev_add_msix(&pd, 0, 3, 0, 0, 0, 0x800, &err), 0);
	assert_int_equal(pcidev_add_msi(&pd, 0, 32, true, true, &err), 0);
	assert_int_equal(pd.n_vec, 32);
	assert_int_equal(pcidev_add_msi(&pd, 0, 33, true, true, &err), -EINVAL);
	assert_int_equal(pcidev_add_intx(&pd, 5), -EINVAL);
	assert_int_equal(pcidev_add_intx(&pd, 0), -EINVAL);
	pcidev_fini(&pd);
}

#define T_(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T_(test_msix_one_commit_per_batch),
		T_(test_masking_costs_no_commit_and_unmasking_delivers_once),
		T_(test_disable_releases_routes_and_falls_back_to_intx),
		T_(test_two_thousand_vectors_cost_nothing_until_used),
		T_(test_exhausted_routes_silence_one_vector_only),
		T_(test_refused_commits_and_binds_leave_the_vector_dead),
		T_(test_messages_need_bus_mastering),
		T_(test_msi_vectors_share_when_fewer_are_granted),
		T_(test_both_enabled_msix_counts_and_msi_comes_back),
		T_(test_random_guests_never_leak_or_lose_a_mode),
		T_(test_intx_follows_command_and_mode),
		T_(test_functions_share_a_line),
		T_(test_function_level_reset),
		T_(test_machine_reset_restores_the_firmwares_state),
		T_(test_order_of_a_forwarded_write),
		T_(test_no_eventfd_silences_the_vector_and_leaks_nothing),
		T_(test_fini_with_everything_on_leaves_nothing),
		T_(test_fini_of_what_never_was),
		T_(test_vectors_cover_msi_and_msix),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
