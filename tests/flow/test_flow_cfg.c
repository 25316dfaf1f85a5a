// SPDX-License-Identifier: GPL-2.0-or-later
// Journey D, configuration space: both ways in, every byte of every device of the zoo written with
// every width, and what may come of it: no crash, no bit in hardware that the policy does not
// forward, lists that can still be walked. What the guest sees of each is compared with
// tests/golden/zoo.txt (VV_UPDATE_GOLDEN=1 writes it anew: look at the difference).
// The vCPU is a thread (pthread_create in kvm/vcpu.c), so these run under TSan, too.
#include <errno.h>

#include "core/bytes.h"
#include "flow.h"

/* --- what hardware may be told ---------------------------------------------------------------- */

/* Bits of the physical configuration space that a guest's writes may change, by the
 * specifications: told apart from vfio/passthru_cfg.c on purpose. */
static void allow(uint8_t *ok, unsigned int off, unsigned int len, uint32_t bits)
{
	for (unsigned int i = 0; i < len; i++)
		ok[off + i] |= (uint8_t)(bits >> (i < 4 ? 8 * i : 0));
}

static void allow_all(uint8_t *ok, unsigned int off, unsigned int len)
{
	memset(ok + off, 0xff, len);
}

static void allow_std(uint8_t *ok, const uint8_t *cfg)
{
	unsigned int at = cfg[PCI_CAPABILITY_LIST] & ~3u, n = 0;
	for (; at >= 0x40 && cfg[at] != 0xff && n < 48; at = cfg[at + 1] & ~3u, n++) {
		switch (cfg[at]) {
		case PCI_CAP_ID_PM:
			allow(ok, at + PCI_PM_CTRL, 1, PCI_PM_CTRL_STATE_MASK);
			break;
		case PCI_CAP_ID_MSI: /* enable and vectors: by VFIO itself, with its ioctl */
			allow(ok, at + PCI_MSI_FLAGS, 1,
			      PCI_MSI_FLAGS_ENABLE | PCI_MSI_FLAGS_QSIZE);
			break;
		case PCI_CAP_ID_MSIX:
			allow(ok, at + PCI_MSIX_FLAGS, 2, PCI_MSIX_FLAGS_ENABLE);
			break;
		case PCI_CAP_ID_VPD:
			allow_all(ok, at + 2, 6);
			break;
		case PCI_CAP_ID_VNDR:
			allow_all(ok, at + 2, cfg[at + 2] - 2u);
			break;
		case PCI_CAP_ID_EXP:
			/* error reporting, relaxed ordering, extended tags, no snoop, read size */
			allow(ok, at + PCI_EXP_DEVCTL, 2, 0x791f);
			allow(ok, at + PCI_EXP_DEVSTA, 2, 0x000f);
			/* completion timeout, AtomicOp requests, ID-based ordering */
			allow(ok, at + PCI_EXP_DEVCTL2, 2, 0x035f);
			break;
		default:
			break;
		}
	}
}

static void allow_ext(uint8_t *ok, const uint8_t *cfg)
{
	unsigned int at = 0x100, n = 0;
	for (; at >= 0x100 && n < 960; n++) {
		uint32_t h, w;
		memcpy(&h, cfg + at, 4);
		memcpy(&w, cfg + at + 4, 4);
		if (h == 0)
			break;
		if ((h & 0xffff) == PCI_EXT_CAP_ID_ERR)
			allow_all(ok, at + 4, 0x44);
		if (((h & 0xffff) == PCI_EXT_CAP_ID_VNDR || (h & 0xffff) == PCI_EXT_CAP_ID_DVSEC) &&
		    w >> 20 > 4)
			allow_all(ok, at + 4, (w >> 20) - 4);
		at = h >> 20 & 0xffc;
	}
}

static void allowed(const uint8_t *cfg, uint8_t ok[4096])
{
	memset(ok, 0, 4096);
	/* I/O, memory, mastering, parity, SERR, INTx disable; the errors that are cleared by 1. */
	allow(ok, PCI_COMMAND, 2, 0x0547);
	allow(ok, PCI_STATUS, 2, 0xf900);
	if (cfg[PCI_STATUS] & PCI_STATUS_CAP_LIST)
		allow_std(ok, cfg);
	allow_ext(ok, cfg);
}

/* --- the property ----------------------------------------------------------------------------- */

static uint32_t seed;

static uint32_t random_bits(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 17;
	seed ^= seed << 5;
	return seed;
}

static uint32_t pattern(unsigned int which)
{
	return which == 0 ? 0 : which == 1 ? UINT32_MAX : random_bits();
}

/* `before` becomes what is. */
static void check(const struct fake_devdesc *d, uint8_t *before, const uint8_t *ok,
		  unsigned int off, unsigned int size, uint32_t val)
{
	const uint8_t *now = fake_dev_config(hw);
	if (memcmp(now, before, 4096) == 0)
		return;
	for (unsigned int i = 0; i < 4096; i++)
		if ((now[i] ^ before[i]) & ~ok[i])
			fail_msg("%s: %u bytes %#x at %#x changed byte %#x from %#x to %#x in "
				 "hardware, allowed are %#x",
				 d->name, size, val, off, i, before[i], now[i], ok[i]);
	memcpy(before, now, 4096);
}

/* What no write changes for the guest (PCIe 6.0 7.5.1): ids, class, header type, capability
 * pointer, interrupt pin; and each capability's id and link. */
static uint32_t fixed_sum(void)
{
	static const uint8_t regs[] = { PCI_VENDOR_ID,		 PCI_CLASS_REVISION,
					PCI_SUBSYSTEM_VENDOR_ID, PCI_HEADER_TYPE,
					PCI_CAPABILITY_LIST,	 PCI_INTERRUPT_PIN };
	static const uint8_t sizes[] = { 4, 4, 4, 1, 1, 1 };
	struct pcidev *pd = guest_pcidev(fn);
	uint32_t sum = 0;
	for (unsigned int i = 0; i < ARRAY_SIZE(regs); i++)
		sum = sum * 31 + pcidev_cfg_read(pd, regs[i], sizes[i]);
	unsigned int at = pcidev_cfg_read(pd, PCI_CAPABILITY_LIST, 1);
	for (unsigned int n = 0; at && n < 48; n++, at = pcidev_cfg_read(pd, at + 1, 1))
		sum = sum * 31 + pcidev_cfg_read(pd, at, 2);
	at = pd->cfg.size > 256 ? 0x100 : 0;
	for (unsigned int n = 0; at && n < 960; n++, at = pcidev_cfg_read(pd, at, 4) >> 20)
		sum = sum * 31 + pcidev_cfg_read(pd, at, 4);
	return sum;
}

static void write_everywhere(const struct fake_devdesc *d, unsigned int size, unsigned int which)
{
	const uint32_t fixed = fixed_sum();
	struct pcidev *pd = guest_pcidev(fn);
	uint8_t before[4096], ok[4096];
	memcpy(before, fake_dev_config(hw), sizeof(before));
	allowed(before, ok);
	for (unsigned int off = 0; off < 4096; off += size) {
		uint32_t val = pattern(which) & (uint32_t)ones(size);
		pcidev_cfg_write(pd, off, val, size);
		pcidev_cfg_read(pd, off, size);
		check(d, before, ok, off, size, val);
	}
	if (fixed_sum() != fixed)
		fail_msg("%s: writes of %u bytes change what is read-only", d->name, size);
	if (guest_caps_walk(fn, false) < 0 || guest_caps_walk(fn, true) < 0)
		fail_msg("%s: after writes of %u bytes its capabilities can't be walked", d->name,
			 size);
}

/* No machine starts with it. */
static bool refused(const struct fake_devdesc *d)
{
	return d == &zoo_msix_off_bar || d == &zoo_msix_no_bar || d == &zoo_dead_after_reset;
}

static void test_no_write_reaches_what_it_must_not(void **state)
{
	const struct guest_setup none = { .accel = "none" };
	(void)state;
	for (size_t i = 0; i < zoo_count; i++) {
		if (refused(zoo_all[i]))
			continue;
		fake_reset();
		flow_start_with(zoo_all[i], ",bus=pci.0", &none);
		seed = 0x2545f491u + (uint32_t)i;
		for (unsigned int which = 0; which < 4; which++)
			for (unsigned int size = 1; size <= 4; size *= 2)
				write_everywhere(zoo_all[i], size, which);
		guest_close(&g);
		if (!fake_clean())
			fail_msg("%s", zoo_all[i]->name);
	}
}

/* The same behind a port, on KVM, in random order, with the device at work. */
static void test_a_storm_of_writes_leaves_a_working_machine(void **state)
{
	struct verr err = { 0 };
	(void)state;
	seed = 0xdeadbeef;
	flow_start(&zoo_sriov_pf);
	struct pcidev *pd = guest_pcidev(fn);
	for (unsigned int i = 0; i < 20000; i++) {
		unsigned int size = 1u << random_bits() % 3;
		unsigned int off = random_bits() % 4096 & ~(size - 1);
		machine_lock(g.m);
		/* Mostly where something happens. */
		if (i % 4)
			off %= 0x110;
		pcidev_cfg_write(pd, off, random_bits(), size);
		machine_unlock(g.m);
	}
	assert_int_equal(guest_reset(&g, &err), 0);
	fn = guest_find(&g, zoo_sriov_pf.vendor, zoo_sriov_pf.device, 0);
	flow_enable();
	guest_msix(fn, true, false);
	guest_msix_vector(fn, 0, MSI_ADDR, 0x40, false);
	fake_dev_fire(hw, 0);
	assert_true(fake_kvm_msi_count(0x40) > 0);
}

/* --- the two ways in -------------------------------------------------------------------------- */

static void test_ports_and_ecam_show_the_same(void **state)
{
	(void)state;
	flow_start(&zoo_sriov_pf);
	for (unsigned int off = 0; off < 256; off += 4)
		assert_int_equal(guest_cf8(fn, off, 4), guest_cfg(fn, off, 4));
	guest_cf8_set(fn, PCI_CACHE_LINE_SIZE, 0x10, 1);
	assert_int_equal(guest_cfg(fn, PCI_CACHE_LINE_SIZE, 1), 0x10);
	guest_cfg_set(fn, PCI_INTERRUPT_LINE, 5, 1);
	assert_int_equal(guest_cf8(fn, PCI_INTERRUPT_LINE, 1), 5);
	assert_int_equal(guest_cf8(fn, PCI_DEVICE_ID, 2), zoo_sriov_pf.device);
}

static void test_absent_functions_read_ones(void **state)
{
	(void)state;
	flow_start(&zoo_nvme);
	struct guest_fn none = { &g, 0, 0xf8 }, beyond = { &g, 200, 0 };
	assert_int_equal(guest_cfg(none, 0, 4), UINT32_MAX);
	assert_int_equal(guest_cfg(beyond, 0, 4), UINT32_MAX);
	guest_cfg_set(none, 4, 7, 4);
	assert_int_equal(guest_cf8(none, 0, 2), 0xffff);
}

static void test_conventional_function_has_256_bytes(void **state)
{
	(void)state;
	flow_start(&zoo_e1000);
	assert_int_equal(fn.bus, 0); /* no link, no port */
	assert_int_equal(guest_cfg(fn, 0x100, 4), UINT32_MAX);
	guest_cfg_set(fn, 0x100, 1, 4);
}

/* --- what of the device the guest sees -------------------------------------------------------- */

static unsigned int exp_type(void)
{
	unsigned int at = guest_cap(fn, PCI_CAP_ID_EXP);
	assert_int_not_equal(at, 0);
	return guest_cfg(fn, at + PCI_EXP_FLAGS, 2) >> 4 & 0xf;
}

static void test_endpoint_behind_a_port_of_its_own(void **state)
{
	(void)state;
	flow_start(&zoo_nvme);
	assert_true(fn.bus > 0);
	assert_int_equal(exp_type(), PCI_EXP_TYPE_ENDPOINT);
	unsigned int at = guest_cap(fn, PCI_CAP_ID_EXP);
	assert_int_not_equal(guest_cfg(fn, at + PCI_EXP_LNKCAP, 4), 0);
}

static void test_endpoint_on_the_root_bus_is_integrated(void **state)
{
	(void)state;
	flow_start_with(&zoo_nvme, ",bus=pci.0", NULL);
	assert_int_equal(fn.bus, 0);
	assert_int_equal(exp_type(), PCI_EXP_TYPE_RC_END);
	unsigned int at = guest_cap(fn, PCI_CAP_ID_EXP);
	for (unsigned int reg = PCI_EXP_LNKCAP; reg < PCI_EXP_SLTCAP; reg += 4)
		assert_int_equal(guest_cfg(fn, at + reg, 4), 0);
	/* It works there as well. */
	flow_enable();
	guest_msix(fn, true, false);
	guest_msix_vector(fn, 0, MSI_ADDR, 0x40, false);
	fake_dev_fire(hw, 0);
	assert_int_equal(fake_kvm_msi_count(0x40), 1);
}

static void test_legacy_endpoint_on_the_root_bus_is_integrated(void **state)
{
	(void)state;
	flow_start_with(&zoo_gpu, ",bus=pci.0", NULL);
	assert_int_equal(exp_type(), PCI_EXP_TYPE_RC_END);
}

/* An integrated endpoint of version 1 has 12 bytes, and its next capability right behind. */
static void test_integrated_endpoint_behind_a_port(void **state)
{
	static struct fake_devdesc d;
	(void)state;
	d = zoo_edu;
	memset(d.caps, 0, sizeof(d.caps));
	d.caps[0] = (struct fake_cap){ .id = PCI_CAP_ID_EXP,
				       .off = 0x40,
				       .len = 12,
				       .w = { 1 | PCI_EXP_TYPE_RC_END << 4, 0x8000 } };
	d.caps[1] = (struct fake_cap)FAKE_CAP_MSI(0, 1, 0);
	d.caps[1].off = 0x4c;
	flow_start(&d);
	/* Shown as an endpoint, drivers would look for a link's registers on the MSI capability. */
	assert_int_equal(exp_type(), PCI_EXP_TYPE_RC_END);
	assert_int_equal(guest_cap(fn, PCI_CAP_ID_MSI), 0x4c);
	guest_cfg_set(fn, 0x4c + PCI_MSI_ADDRESS_LO, UINT32_MAX, 4);
	assert_int_equal(guest_cfg(fn, 0x4c + PCI_MSI_ADDRESS_LO, 4), 0xfffffffc);
	assert_int_equal(guest_caps_walk(fn, false), 2);
	flow_enable();
	guest_msi(fn, 0, MSI_ADDR, 0x70);
	fake_dev_fire(hw, 0);
	assert_int_equal(fake_kvm_msi_count(0x70), 1);
}

static void test_capabilities_of_the_hosts_fabric_are_hidden(void **state)
{
	(void)state;
	flow_start(&zoo_sriov_pf);
	assert_int_equal(guest_ecap(fn, PCI_EXT_CAP_ID_SRIOV), 0);
	assert_int_equal(guest_ecap(fn, PCI_EXT_CAP_ID_ARI), 0);
	assert_int_equal(guest_ecap(fn, PCI_EXT_CAP_ID_ATS), 0);
	assert_int_equal(guest_ecap(fn, PCI_EXT_CAP_ID_PASID), 0);
	assert_int_not_equal(guest_ecap(fn, PCI_EXT_CAP_ID_ERR), 0);
	assert_int_not_equal(guest_ecap(fn, PCI_EXT_CAP_ID_DSN), 0);
	/* Nor do their registers show where the list no longer leads. */
	for (unsigned int off = 0x100; off < 4096; off += 4) {
		uint32_t v = guest_cfg(fn, off, 4);
		uint32_t h;
		memcpy(&h, fake_dev_config(hw) + off, 4);
		if ((h & 0xfffff) == (PCI_EXT_CAP_ID_SRIOV | 1 << 16))
			for (unsigned int i = 0; i < 64; i += 4)
				assert_int_equal(guest_cfg(fn, off + i, 4), 0);
		(void)v;
	}
}

static void test_hidden_head_of_the_extended_list_leads_on(void **state)
{
	static struct fake_devdesc d;
	(void)state;
	d = zoo_sriov_pf;
	memmove(d.ecaps + 1, d.ecaps, sizeof(d.ecaps) - sizeof(d.ecaps[0]));
	d.ecaps[0] = (struct fake_cap)FAKE_ECAP_ARI;
	flow_start(&d);
	uint32_t head = guest_cfg(fn, 0x100, 4);
	assert_int_equal(head & 0xfffff, 0); /* id and version 0 */
	assert_int_not_equal(head >> 20, 0);
	assert_int_not_equal(guest_ecap(fn, PCI_EXT_CAP_ID_ERR), 0);
	assert_int_equal(guest_cfg(fn, 0x104, 4), 0);
}

static void test_all_extended_hidden_is_an_empty_list(void **state)
{
	static struct fake_devdesc d;
	(void)state;
	d = zoo_sriov_pf;
	memset(d.ecaps, 0, sizeof(d.ecaps));
	d.ecaps[0] = (struct fake_cap)FAKE_ECAP_SRIOV(4);
	flow_start(&d);
	assert_int_equal(guest_cfg(fn, 0x100, 4), 0);
	assert_int_equal(guest_caps_walk(fn, true), 0);
}

static void test_ids_of_a_virtual_function(void **state)
{
	(void)state;
	flow_start(&zoo_vf);
	assert_int_equal(guest_cfg(fn, PCI_VENDOR_ID, 4), 0x10ca8086);
	assert_int_equal(guest_bar(fn, 0).size, 0x4000);
	assert_int_equal(guest_bar(fn, 3).size, 0x4000);
	assert_int_equal(guest_cfg(fn, PCI_INTERRUPT_PIN, 1), 0);
	flow_enable();
	guest_msix(fn, true, false);
	guest_msix_vector(fn, 2, MSI_ADDR, 0x42, false);
	fake_dev_fire(hw, 2);
	assert_int_equal(fake_kvm_msi_count(0x42), 1);
	guest_command(fn, 0, PCI_COMMAND_MEMORY);
	assert_false(fake_dev_bar_in_slot(hw, 0, 0, 0x4000));
}

static void test_vpd_is_read_through_the_host(void **state)
{
	(void)state;
	flow_start(&zoo_sriov_pf);
	unsigned int at = guest_cap(fn, PCI_CAP_ID_VPD);
	assert_int_not_equal(at, 0);
	guest_cfg_set(fn, at + PCI_VPD_ADDR, 0x20, 2);
	assert_int_equal(guest_cfg(fn, at + PCI_VPD_ADDR, 2), 0x20 | PCI_VPD_ADDR_F);
	assert_int_equal(guest_cfg(fn, at + PCI_VPD_DATA, 4), 0x56504420);
}

static void test_payload_size_is_remembered_and_not_forwarded(void **state)
{
	(void)state;
	flow_start(&zoo_nvme);
	unsigned int at = guest_cap(fn, PCI_CAP_ID_EXP);
	guest_cfg_set(fn, at + PCI_EXP_DEVCTL, PCI_EXP_DEVCTL_PAYLOAD_256B | PCI_EXP_DEVCTL_CERE,
		      2);
	assert_int_equal(guest_cfg(fn, at + PCI_EXP_DEVCTL, 2) & PCI_EXP_DEVCTL_PAYLOAD, 0x20);
	uint16_t physical;
	memcpy(&physical, fake_dev_config(hw) + at + PCI_EXP_DEVCTL, 2);
	assert_int_equal(physical & PCI_EXP_DEVCTL_PAYLOAD, 0);
	assert_int_equal(physical & PCI_EXP_DEVCTL_CERE, PCI_EXP_DEVCTL_CERE);
}

static void test_pme_is_not_promised(void **state)
{
	(void)state;
	flow_start(&zoo_e1000e);
	unsigned int at = guest_cap(fn, PCI_CAP_ID_PM);
	assert_int_equal(guest_cfg(fn, at + PCI_PM_PMC, 2) & PCI_PM_CAP_PME_MASK, 0);
}

static void test_broken_lists_are_cut(void **state)
{
	const struct fake_devdesc *const broken[] = { &zoo_cap_loop, &zoo_cap_ff };
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(broken); i++) {
		fake_reset();
		flow_start(broken[i]);
		assert_int_equal(guest_caps_walk(fn, false), 2);
		flow_enable();
		guest_msi(fn, 0, MSI_ADDR, 0x33);
		fake_dev_fire(hw, 0);
		assert_int_equal(fake_kvm_msi_count(0x33), 1);
		guest_close(&g);
		assert_true(fake_clean());
	}
}

/* A device that lies about its capabilities: a vendor one that claims the bytes of the next, two
 * of a kind, a list that only goes on inside another. The guest gets what makes sense. */
static void test_capabilities_that_overlap(void **state)
{
	static struct fake_devdesc d;
	(void)state;
	d = zoo_edu;
	memset(d.caps, 0, sizeof(d.caps));
	d.caps[0] =
		(struct fake_cap){ .id = PCI_CAP_ID_VNDR, .off = 0x40, .len = 8, .w = { 0x60 } };
	d.caps[1] = (struct fake_cap)FAKE_CAP_PM(1);
	d.caps[2] = (struct fake_cap)FAKE_CAP_MSI(0, 1, 0);
	d.caps[3] = (struct fake_cap)FAKE_CAP_MSI(2, 1, 0);
	d.caps[4] = (struct fake_cap)FAKE_CAP_PM(0);
	flow_start(&d);
	assert_true(guest_caps_walk(fn, false) >= 3);
	unsigned int msi = guest_cap(fn, PCI_CAP_ID_MSI);
	assert_int_not_equal(msi, 0);
	/* The vendor capability forwards; nothing of MSI may. */
	guest_cfg_set(fn, msi + PCI_MSI_ADDRESS_LO, 0xfee01000, 4);
	uint32_t physical;
	memcpy(&physical, fake_dev_config(hw) + msi + PCI_MSI_ADDRESS_LO, 4);
	assert_int_equal(physical, 0);
	flow_enable();
	guest_msi(fn, 0, MSI_ADDR, 0x44);
	fake_dev_fire(hw, 0);
	assert_int_equal(fake_kvm_msi_count(0x44), 1);
	guest_power(fn, 3);
	guest_power(fn, 0);
}

static void test_extended_capabilities_that_overlap(void **state)
{
	static struct fake_devdesc d;
	(void)state;
	d = zoo_nvme;
	memset(d.ecaps, 0, sizeof(d.ecaps));
	/* A vendor capability of 0x800 bytes that covers the SR-IOV one behind it. */
	d.ecaps[0] =
		(struct fake_cap){ .id = PCI_EXT_CAP_ID_VNDR, .len = 16, .w = { 1, 0x80000001 } };
	d.ecaps[1] = (struct fake_cap)FAKE_ECAP_SRIOV(4);
	d.ecaps[2] = (struct fake_cap)FAKE_ECAP_DSN;
	flow_start(&d);
	assert_int_equal(guest_ecap(fn, PCI_EXT_CAP_ID_SRIOV), 0);
	assert_int_not_equal(guest_ecap(fn, PCI_EXT_CAP_ID_DSN), 0);
	assert_int_equal(guest_cfg(fn, 0x110, 4), 0); /* SR-IOV's header */
	guest_cfg_set(fn, 0x118, UINT32_MAX, 4);
	assert_int_equal(guest_cfg(fn, 0x118, 4), 0);
}

static void assert_refused(const struct fake_devdesc *d, const char *says)
{
	const struct guest_setup s = { .device = { "vfio-pci,host=" HOST_BDF } };
	struct verr err = { 0 };
	fake_zoo_one(d);
	assert_true(guest_open(&g, &s, &err) < 0);
	if (!strstr(err.msg, says) || !strstr(err.msg, HOST_BDF))
		fail_msg("%s", err.msg);
}

static void test_msix_table_outside_its_bar_is_refused(void **state)
{
	(void)state;
	assert_refused(&zoo_msix_off_bar, "lies outside BAR 0");
}

static void test_msix_table_in_no_bar_is_refused(void **state)
{
	(void)state;
	assert_refused(&zoo_msix_no_bar, "BAR 4");
}

static void test_bridge_is_refused(void **state)
{
	const struct guest_setup s = { .device = { "vfio-pci,host=0000:00:1c.2" } };
	struct verr err = { 0 };
	(void)state;
	fake_zoo_one(&zoo_nvme);
	assert_true(guest_open(&g, &s, &err) < 0);
	assert_non_null(strstr(err.msg, "0000:00:1c.2"));
}

/* --- golden ----------------------------------------------------------------------------------- */

static void dump(FILE *out, const char *name)
{
	fprintf(out, "%02x:%02x.%x %s\n", fn.bus, fn.devfn >> 3, fn.devfn & 7, name);
	for (unsigned int off = 0; off < guest_pcidev(fn)->cfg.size; off += 16) {
		uint32_t v[4], any = 0;
		for (unsigned int i = 0; i < 4; i++)
			any |= v[i] = guest_cfg(fn, off + 4 * i, 4);
		if (off >= 0x40 && any == 0)
			continue;
		fprintf(out, "%03x: %08x %08x %08x %08x\n", off, v[0], v[1], v[2], v[3]);
	}
	fputc('\n', out);
}

static char *slurp(const char *path)
{
	FILE *f = fopen(path, "r");
	char *text = NULL;
	size_t len = 0;
	if (!f)
		return NULL;
	if (getdelim(&text, &len, '\0', f) < 0) {
		free(text);
		text = NULL;
	}
	fclose(f);
	return text;
}

static void test_what_the_guest_sees_is_what_it_saw(void **state)
{
	const struct guest_setup none = { .accel = "none" };
	const char *src = getenv("VV_SRC");
	char path[512], *text = NULL;
	size_t len = 0;
	(void)state;
	FILE *out = open_memstream(&text, &len);
	for (size_t i = 0; i < zoo_count; i++) {
		if (refused(zoo_all[i]))
			continue;
		fake_reset();
		flow_start_with(zoo_all[i], "", &none);
		dump(out, zoo_all[i]->name);
		guest_close(&g);
	}
	fclose(out);
	snprintf(path, sizeof(path), "%s%sgolden/zoo.txt", src ? src : "", src ? "/tests/" : "");
	if (getenv("VV_UPDATE_GOLDEN")) {
		FILE *f = fopen(path, "w");
		assert_non_null(f);
		fputs(text, f);
		fclose(f);
	}
	char *want = slurp(path);
	if (!want)
		fail_msg("no %s: VV_UPDATE_GOLDEN=1 makes it", path);
	size_t at = 0, line = 1;
	while (want[at] && want[at] == text[at])
		line += want[at++] == '\n';
	if (want[at] != text[at])
		fail_msg("%s line %zu: the guest now sees \"%.*s\"", path, line,
			 (int)strcspn(text + at, "\n"), text + at);
	free(want);
	free(text);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		FLOW_TEST(test_no_write_reaches_what_it_must_not),
		FLOW_TEST(test_a_storm_of_writes_leaves_a_working_machine),
		FLOW_TEST(test_ports_and_ecam_show_the_same),
		FLOW_TEST(test_absent_functions_read_ones),
		FLOW_TEST(test_conventional_function_has_256_bytes),
		FLOW_TEST(test_endpoint_behind_a_port_of_its_own),
		FLOW_TEST(test_endpoint_on_the_root_bus_is_integrated),
		FLOW_TEST(test_legacy_endpoint_on_the_root_bus_is_integrated),
		FLOW_TEST(test_integrated_endpoint_behind_a_port),
		FLOW_TEST(test_capabilities_of_the_hosts_fabric_are_hidden),
		FLOW_TEST(test_hidden_head_of_the_extended_list_leads_on),
		FLOW_TEST(test_all_extended_hidden_is_an_empty_list),
		FLOW_TEST(test_ids_of_a_virtual_function),
		FLOW_TEST(test_vpd_is_read_through_the_host),
		FLOW_TEST(test_payload_size_is_remembered_and_not_forwarded),
		FLOW_TEST(test_pme_is_not_promised),
		FLOW_TEST(test_broken_lists_are_cut),
		FLOW_TEST(test_capabilities_that_overlap),
		FLOW_TEST(test_extended_capabilities_that_overlap),
		FLOW_TEST(test_msix_table_outside_its_bar_is_refused),
		FLOW_TEST(test_msix_table_in_no_bar_is_refused),
		FLOW_TEST(test_bridge_is_refused),
		FLOW_TEST(test_what_the_guest_sees_is_what_it_saw),
	};
	sys = &sys_fake;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
