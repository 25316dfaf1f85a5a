// SPDX-License-Identifier: GPL-2.0-or-later
// vfio/quirks*.c: for each row of the table a device that needs it, what goes wrong without the
// row (quirks=off), and right with it.
#include "core/bytes.h"

#include "passrig.h"

#include "vfio/quirks.h"

static bool rig_tries(const struct fake_devdesc *desc, const char *more)
{
	char props[128];
	hw = fake_zoo_one(desc);
	snprintf(props, sizeof(props), "host=" HOST_BDF "%s", more);
	p = rig_new(props);
	if (dev_realize(&p->pd.dev, &err) < 0)
		return false;
	dev_reset(&p->pd.dev);
	return true;
}

static void rig_with(const struct fake_devdesc *desc, const char *more)
{
	if (!rig_tries(desc, more))
		fail_msg("%s", err.msg);
}

/* The other half of a case, on a fresh host. */
static void rig_again(const struct fake_devdesc *desc, const char *more)
{
	void *state = NULL;
	assert_int_equal(rig_teardown(&state), 0);
	rig_setup(&state);
	rig_with(desc, more);
	rig_place();
}

static uint64_t rd(unsigned int bar, uint64_t off, unsigned int size)
{
	uint64_t val = 0;
	const struct pcidev_bar *b = &p->pd.bar[bar];
	assert_true(b->active);
	assert_true(
		aspace_read(b->kind == PCIBAR_IO ? &rp.pio : &rp.mmio, b->gpa + off, &val, size));
	return val;
}

static void wr(unsigned int bar, uint64_t off, uint64_t val, unsigned int size)
{
	const struct pcidev_bar *b = &p->pd.bar[bar];
	assert_true(b->active);
	aspace_write(b->kind == PCIBAR_IO ? &rp.pio : &rp.mmio, b->gpa + off, val, size);
}

static uint32_t hw_bar(unsigned int bar, uint64_t off)
{
	uint32_t val;
	fake_dev_bar_read(hw, bar, off, &val, 4);
	return val;
}

static void io_at(unsigned int bar, uint16_t port)
{
	pcidev_cfg_write(&p->pd, PCI_BASE_ADDRESS_0 + 4 * bar, port, 4);
	pcidev_cfg_write(&p->pd, PCI_COMMAND,
			 PCI_COMMAND_IO | PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER, 2);
}

/* --- mirrors ---------------------------------------------------------------------------------- */

#define HOST_ADDR 0xabcd0000

/* What the hardware has at the mirror: its own registers, the host's addresses among them. */
static void show_mirror(unsigned int bar, uint64_t off)
{
	const uint32_t addr = HOST_ADDR;
	fake_dev_bar_write(hw, bar, off, fake_dev_config(hw), 256);
	fake_dev_bar_write(hw, bar, off + PCI_BASE_ADDRESS_0, &addr, 4);
}

static void assert_mirror(unsigned int bar, uint64_t off)
{
	uint32_t guest = pcidev_cfg_read(&p->pd, PCI_BASE_ADDRESS_0, 4);
	assert_int_not_equal(guest, HOST_ADDR);
	assert_int_equal(rd(bar, off + PCI_BASE_ADDRESS_0, 4), guest);
	assert_int_equal(rd(bar, off + PCI_BASE_ADDRESS_0 + 2, 2), guest >> 16);
	assert_int_equal(rd(bar, off + PCI_BASE_ADDRESS_0 + 3, 1), guest >> 24);
	assert_int_equal(rd(bar, off + PCI_BASE_ADDRESS_0, 8) & UINT32_MAX, guest);
	assert_int_equal(rd(bar, off, 8) >> 32, pcidev_cfg_read(&p->pd, PCI_COMMAND, 4));
	/* Writes go the guest's way as well: masked there, not to the device. */
	wr(bar, off + PCI_INTERRUPT_LINE, 5, 1);
	assert_int_equal(pcidev_cfg_read(&p->pd, PCI_INTERRUPT_LINE, 1), 5);
	wr(bar, off + PCI_VENDOR_ID, 0xdeadbeef, 4);
	assert_int_equal(hw_bar(bar, off), get_le32(fake_dev_config(hw)));
}

static void test_nvidia_mirror_shows_the_guests_registers(void **state)
{
	(void)state;
	rig_with(&zoo_gpu, ",quirks=off");
	rig_place();
	show_mirror(0, 0x88000);
	assert_true(fake_dev_bar_mapped(hw, 0, 0x88000, 4096));
	assert_int_equal(rd(0, 0x88010, 4), HOST_ADDR);
	rig_again(&zoo_gpu, "");
	show_mirror(0, 0x88000);
	assert_false(fake_dev_bar_mapped(hw, 0, 0x88000, 4096));
	assert_true(fake_dev_bar_mapped(hw, 0, 0x87000, 4096));
	assert_true(fake_dev_bar_mapped(hw, 0, 0x89000, 4096));
	assert_mirror(0, 0x88000);
	/* The extended half, too. */
	unsigned int aer = pcicap_find_ext(&p->pd.cfg, PCI_EXT_CAP_ID_ERR);
	assert_int_equal(rd(0, 0x88000 + aer, 4), pcidev_cfg_read(&p->pd, aer, 4));
}

static void test_nvidia_mirror_keeps_the_msi_message_from_hardware(void **state)
{
	(void)state;
	rig_with(&zoo_gpu, "");
	rig_place();
	show_mirror(0, 0x88000);
	unsigned int msi = p->pd.msi->off;
	wr(0, 0x88000 + msi + PCI_MSI_ADDRESS_LO, 0xfee01000, 4);
	assert_int_equal(pcidev_cfg_read(&p->pd, msi + PCI_MSI_ADDRESS_LO, 4), 0xfee01000);
	assert_int_equal(hw_bar(0, 0x88000 + msi + PCI_MSI_ADDRESS_LO), 0);
	/* But the acknowledgement of an MSI, a write to its header, is for the hardware. */
	wr(0, 0x88000 + msi, 0xff, 1);
	assert_int_equal(hw_bar(0, 0x88000 + msi) & 0xff, 0xff);
	assert_int_equal(pcidev_cfg_read(&p->pd, msi, 1), PCI_CAP_ID_MSI);
	/* Control is not part of the header. */
	uint32_t before = hw_bar(0, 0x88000 + msi) >> 16;
	wr(0, 0x88000 + msi, 0x00ff0005, 4);
	assert_int_equal(hw_bar(0, 0x88000 + msi) >> 16, before);
}

static void test_mirror_survives_the_write_that_ends_its_bar(void **state)
{
	(void)state;
	rig_with(&zoo_gpu, "");
	rig_place();
	wr(0, 0x88000 + PCI_COMMAND, 0, 2);
	assert_false(p->pd.bar[0].active);
	pcidev_cfg_write(&p->pd, PCI_COMMAND, PCI_COMMAND_MEMORY, 2);
	wr(0, 0x88000 + PCI_BASE_ADDRESS_0, 0xd0000000, 4); /* moves itself */
	assert_int_equal(p->pd.bar[0].gpa, 0xd0000000);
}

static void test_nvidia_ports_reach_the_guests_registers(void **state)
{
	uint32_t guest;
	(void)state;
	for (int on = 0; on < 2; on++) {
		if (on)
			rig_again(&zoo_gpu, "");
		else
			rig_with(&zoo_gpu, ",quirks=off");
		io_at(5, 0x2000);
		pcidev_cfg_write(&p->pd, PCI_BASE_ADDRESS_1, 0x40000000, 4);
		guest = pcidev_cfg_read(&p->pd, PCI_BASE_ADDRESS_1, 4);
		wr(5, 8, 0x88014, 4);
		wr(5, 12, 0x11223344, 4); /* not enabled: a register */
		assert_int_equal(hw_bar(5, 12), 0x11223344);
		wr(5, 0, 1, 4);
		wr(5, 4, 1, 4);
		assert_int_equal(rd(5, 8, 4), 0x88014);
		if (!on) {
			assert_int_equal(rd(5, 12, 4), 0x11223344);
			continue;
		}
		assert_int_equal(rd(5, 12, 4), guest);
		assert_int_equal(rd(5, 14, 2), guest >> 16);
		wr(5, 8, 0x1800 + PCI_INTERRUPT_LINE, 4);
		wr(5, 15, 7, 1); /* the dword's last byte is its data register's, too */
		wr(5, 12, 9, 1);
		assert_int_equal(pcidev_cfg_read(&p->pd, PCI_INTERRUPT_LINE, 1), 9);
		assert_int_equal(hw_bar(5, 12), 0x11223344);
		wr(5, 8, 0x100, 4); /* elsewhere: the hardware's */
		wr(5, 12, 0x55, 4);
		assert_int_equal(hw_bar(5, 12), 0x55);
		wr(5, 8, 0x88014, 4);
		wr(5, 4, 0, 4);
		assert_int_equal(rd(5, 12, 4), 0x55);
		/* A reset closes it. */
		wr(5, 4, 1, 4);
		assert_int_equal(rd(5, 12, 4), guest);
		dev_reset(&p->pd.dev);
		io_at(5, 0x2000);
		assert_int_not_equal(rd(5, 12, 4), guest);
	}
}

static void test_compute_gpu_has_no_mirror(void **state)
{
	(void)state;
	rig_with(&zoo_gpu_compute, "");
	assert_true(fake_dev_bar_mapped(hw, 0, 0x88000, 4096));
}

static void test_ati_mirrors_show_the_guests_registers(void **state)
{
	(void)state;
	rig_with(&zoo_radeon, ",quirks=off");
	rig_place();
	show_mirror(2, 0x4000);
	assert_int_equal(rd(2, 0x4010, 4), HOST_ADDR);
	rig_again(&zoo_radeon, "");
	show_mirror(2, 0x4000);
	assert_false(fake_dev_bar_mapped(hw, 2, 0x4000, 4096));
	assert_true(fake_dev_bar_mapped(hw, 2, 0x5000, 4096));
	assert_mirror(2, 0x4000);
	io_at(4, 0x2000);
	wr(4, 0, 0x4010, 4);
	assert_int_equal(rd(4, 4, 4), pcidev_cfg_read(&p->pd, PCI_BASE_ADDRESS_0, 4));
	wr(4, 0, 0x5010, 4);
	wr(4, 4, 0x77, 4);
	assert_int_equal(hw_bar(4, 4), 0x77);
}

static void test_doorbells_of_newer_radeons_are_mapped(void **state)
{
	(void)state;
	rig_with(&zoo_navi, "");
	assert_true(fake_dev_bar_mapped(hw, 2, 0, MIB(2)));
}

/* --- capabilities ----------------------------------------------------------------------------- */

static void assert_clique(unsigned int at, unsigned int clique)
{
	const struct pcicfg *c = &p->pd.cfg;
	assert_int_equal(pcidev_cfg_read(&p->pd, at, 4), 0x50080009); /* id, last, 8, 'P' */
	assert_int_equal(pcidev_cfg_read(&p->pd, at + 4, 4), 0x5032 | clique << 19);
	pcidev_cfg_write(&p->pd, at + 4, UINT32_MAX, 4);
	assert_int_equal(pcicfg_get(c, at + 4, 4), 0x5032 | clique << 19);
	assert_int_equal(get_le32(fake_dev_config(hw) + at), 0);
}

/* Peers put it at D4h whatever is there, on whatever device. */
static void test_clique_goes_where_there_is_room(void **state)
{
	(void)state;
	rig_with(&zoo_gpu_compute, ",x-nv-gpudirect-clique=11");
	assert_clique(0xc8, 11);
	rig_again(&zoo_gpu_c8, ",x-nv-gpudirect-clique=0");
	assert_clique(0xd4, 0);
	rig_again(&zoo_gpu_c8, "");
	assert_int_equal(pcidev_cfg_read(&p->pd, 0xd4, 4), 0);
}

static void assert_clique_refused(const struct fake_devdesc *d, const char *more, const char *says)
{
	void *state = NULL;
	assert_false(rig_tries(d, more));
	if (!strstr(err.msg, says) || !strstr(err.msg, HOST_BDF))
		fail_msg("%s", err.msg);
	assert_int_equal(rig_teardown(&state), 0);
	rig_setup(&state);
}

static void test_clique_that_makes_no_sense_is_refused(void **state)
{
	(void)state;
	assert_clique_refused(&zoo_gpu_full, ",x-nv-gpudirect-clique=1",
			      "the GPU uses both 0xc8 and 0xd4");
	assert_clique_refused(&zoo_radeon, ",x-nv-gpudirect-clique=1",
			      "is for NVIDIA GPUs, this is 1002:6819 of class 030000");
	assert_clique_refused(&zoo_gpu_audio, ",x-nv-gpudirect-clique=1", "of class 040300");
	assert_clique_refused(&zoo_gpu, ",quirks=off,x-nv-gpudirect-clique=1",
			      "contradict each other");
	uint8_t clique = 7;
	assert_int_equal(quirks_clique_parse(&clique, "16", &err), -ERANGE);
	assert_non_null(strstr(err.msg, "0 to 15"));
	assert_int_equal(clique, 7);
}

static void test_vmd_shows_what_its_windows_physically_are(void **state)
{
	(void)state;
	rig_with(&zoo_vmd, ",quirks=off");
	assert_int_equal(pcidev_cfg_read(&p->pd, 0xe8, 4), 0);
	rig_again(&zoo_vmd, "");
	assert_int_equal(pcidev_cfg_read(&p->pd, 0xe8, 4) & 0xffff00ff, 0x01180009);
	assert_int_equal(pcidev_cfg_read(&p->pd, 0xec, 4), 0x53484457);
	assert_int_equal(pcidev_cfg_read(&p->pd, 0xf0, 4), get_le32(fake_dev_config(hw) + 0x18));
	assert_int_equal(pcidev_cfg_read(&p->pd, 0xf8, 4), get_le32(fake_dev_config(hw) + 0x20));
}

/* --- Radeon ----------------------------------------------------------------------------------- */

static char *describe(void)
{
	char *text = NULL;
	size_t len = 0;
	FILE *f = open_memstream(&text, &len);
	quirks_describe(p, f);
	fclose(f);
	return text;
}

static void test_radeon_without_reset_is_said(void **state)
{
	(void)state;
	rig_with(&zoo_radeon, "");
	char *text = describe();
	assert_non_null(strstr(text, "radeon-no-reset"));
	free(text);
	rig_again(&zoo_radeon, ",quirks=off");
	text = describe();
	assert_string_equal(text, "");
	free(text);
}

/* --- Realtek ---------------------------------------------------------------------------------- */

static uint32_t rtl_read(uint32_t off)
{
	wr(2, 0x74, 0x00010000 | off, 4);
	assert_int_equal(rd(2, 0x74, 4), 0x80010000 | off); /* done */
	return (uint32_t)rd(2, 0x70, 4);
}

static void rtl_write(uint32_t off, uint32_t val)
{
	wr(2, 0x70, val, 4);
	wr(2, 0x74, 0x80010000 | off, 4);
	assert_int_equal(rd(2, 0x74, 4), 0x00010000 | off);
}

static void test_realtek_window_is_the_guests_msix_table(void **state)
{
	(void)state;
	rig_with(&zoo_rtl8168, "");
	rig_place();
	assert_false(fake_dev_bar_mapped(hw, 2, 0, 4096));
	rtl_write(0x10, 0xfee00000);
	rtl_write(0x18, 0x4041);
	rtl_write(0x1c, 0);
	assert_int_equal(rd(4, 0x10, 4), 0xfee00000);
	assert_int_equal(rd(4, 0x18, 4), 0x4041);
	wr(4, 0x20, 0xfee00ff0, 4);
	assert_int_equal(rtl_read(0x20), 0xfee00ff0);
	assert_int_equal(rtl_read(0x1c), 0);
	/* The hardware has not been told to write: only its data register was. */
	assert_int_equal(hw_bar(2, 0x74) & 0x80000000, 0);
	/* Past the table, and another type: harmless, and the hardware's. */
	rtl_write(0xffc, 1);
	wr(2, 0x74, 0x80020004, 4);
	assert_int_equal(hw_bar(2, 0x74), 0x80020004);
	assert_int_equal(rd(2, 0x74, 4), 0x80020004);
	/* Byte by byte is no way around. */
	wr(2, 0x70, 0x12345678, 4);
	const uint8_t bytes[] = { 0x10, 0, 1, 0x80 };
	for (unsigned int i = 0; i < 4; i++)
		wr(2, 0x74 + i, bytes[i], 1);
	assert_int_equal(rd(4, 0x10, 4), 0x12345678);
	/* Nor is a quadword. */
	wr(2, 0x70, 0x8001001000000044, 8);
	assert_int_equal(rd(4, 0x10, 4), 0x44);
}

static void test_realtek_without_its_quirk_gets_the_hosts_table(void **state)
{
	(void)state;
	rig_with(&zoo_rtl8168, ",quirks=off");
	rig_place();
	wr(2, 0x70, 0x4041, 4);
	wr(2, 0x74, 0x80010018, 4);
	assert_int_equal(rd(4, 0x18, 4), 0);
	assert_int_equal(hw_bar(2, 0x74), 0x80010018);
}

/* --- Intel ------------------------------------------------------------------------------------ */

static unsigned int reserves;

static int reserve(void *opaque, uint64_t size, uint64_t *ret_gpa, struct verr *reterr)
{
	(void)opaque;
	(void)reterr;
	assert_int_equal(size % 4096, 0);
	*ret_gpa = 0xfd000000 + 0x100000 * (uint64_t)reserves++;
	return 0;
}

static void test_opregion_is_in_guest_memory(void **state)
{
	char sig[17] = "";
	(void)state;
	rp.plat.reserve = reserve;
	rig_with(&zoo_igd, "");
	uint32_t asls = pcidev_cfg_read(&p->pd, 0xfc, 4);
	assert_true(asls >= 0xfd000000);
	assert_int_equal(gmem_read(&rp.ram, asls, sig, 16), 0);
	assert_string_equal(sig, "IntelGraphicsMem");
	uint8_t last;
	assert_int_equal(gmem_read(&rp.ram, asls + 0x1fff, &last, 1), 0);
	assert_int_equal(last, (uint8_t)(0x1fff >> 4));
	/* What a guest did to it and to ASLS is gone after a reset; the host's is untouched. */
	gmem_write(&rp.ram, asls, "gone", 4);
	pcidev_cfg_write(&p->pd, 0xfc, 0, 4);
	assert_int_equal(get_le32(fake_dev_config(hw) + 0xfc), 0);
	dev_reset(&p->pd.dev);
	assert_int_equal(pcidev_cfg_read(&p->pd, 0xfc, 4), asls);
	assert_int_equal(gmem_read(&rp.ram, asls, sig, 16), 0);
	assert_string_equal(sig, "IntelGraphicsMem");
	/* Given back with the device. */
	dev_free(&p->pd.dev);
	p = NULL;
	assert_null(gmem_ptr(&rp.ram, asls, 1));
}

static void test_no_opregion_without_the_quirk(void **state)
{
	(void)state;
	rp.plat.reserve = reserve;
	rig_with(&zoo_igd, ",quirks=off");
	assert_int_equal(pcidev_cfg_read(&p->pd, 0xfc, 4), 0);
	assert_null(gmem_ptr(&rp.ram, 0xfd000000, 1));
}

static void test_opregion_that_is_none_is_refused(void **state)
{
	static struct fake_devdesc d;
	(void)state;
	d = zoo_igd;
	d.opregion_size = 0x1000;
	rp.plat.reserve = reserve;
	assert_false(rig_tries(&d, ""));
	assert_non_null(strstr(err.msg, "the OpRegion has 0x1000 bytes"));
	assert_non_null(strstr(err.msg, "quirks=off"));
}

/* Among the reads that fail in turn are those of the OpRegion. */
static void test_opregion_that_can_t_be_read_is_named(void **state)
{
	unsigned int named = 0;
	for (unsigned int nth = 1, hits = 1; hits; nth += 16) {
		assert_int_equal(rig_teardown(state), 0);
		rig_setup(state);
		rp.plat.reserve = reserve;
		fake_fault_add(&(struct fake_fault){ .calls = BIT32(FAKE_CALL_PREAD),
						     .path = "vfio-device*",
						     .nth = nth,
						     .times = 1,
						     .err = EIO });
		bool ok = rig_tries(&zoo_igd, "");
		hits = fake_fault_hits();
		fake_fault_clear();
		assert_true(ok || err.msg[0]);
		named += !ok &&
			 strstr(err.msg, "its region 9, as VFIO counts, can't be read; quirks=off");
	}
	assert_true(named > 0);
}

static void test_machine_without_room_for_an_opregion(void **state)
{
	(void)state;
	assert_false(rig_tries(&zoo_igd, ""));
	assert_non_null(strstr(err.msg, "no place for the OpRegion"));
}

/* --- pending bits ----------------------------------------------------------------------------- */

static void assert_pba(const struct fake_devdesc *d, unsigned int bar, uint32_t at)
{
	void *state = NULL;
	assert_false(rig_tries(d, ",quirks=off"));
	if (!strstr(err.msg, "the MSI-X pending bit array") || !strstr(err.msg, "lies outside"))
		fail_msg("%s", err.msg);
	assert_int_equal(rig_teardown(&state), 0);
	rig_setup(&state);
	rig_with(d, "");
	rig_place();
	assert_int_equal(pcidev_cfg_read(&p->pd, p->pd.msix->off + PCI_MSIX_PBA, 4), at | bar);
	assert_int_equal(rd(bar, at, 8), 0);
	assert_false(fake_dev_bar_mapped(hw, bar, ALIGN_DOWN(at, 4096u), 4096));
}

static void test_chelsios_pending_bits_are_where_they_fit(void **state)
{
	(void)state;
	assert_pba(&zoo_chelsio_vf, 4, 0x1000);
}

static void test_kunluns_pending_bits_are_where_they_fit(void **state)
{
	(void)state;
	assert_pba(&zoo_kunlun_vf, 0, 0xb400);
}

/* --- the table -------------------------------------------------------------------------------- */

static char *slurp(const char *path)
{
	char full[512], *text = NULL;
	size_t len = 0;
	const char *src = getenv("VV_SRC");
	snprintf(full, sizeof(full), "%s/%s", src ? src : "..", path);
	FILE *f = fopen(full, "r");
	if (!f)
		fail_msg("no %s", full);
	if (getdelim(&text, &len, '\0', f) < 0)
		fail_msg("%s is empty", full);
	fclose(f);
	return text;
}

/* --- legacy VGA ports ------------------------------------------------------------------------- */

static uint64_t in(uint16_t port, unsigned int size)
{
	uint64_t val = 0;
	assert_true(aspace_read(&rp.pio, port, &val, size));
	return val;
}

static void out(uint16_t port, uint64_t val, unsigned int size)
{
	assert_true(aspace_write(&rp.pio, port, val, size));
}

static void decode_ports(const struct fake_devdesc *desc, const char *more)
{
	rig_with(desc, more);
	rig_place();
	pcidev_cfg_write(&p->pd, PCI_COMMAND, PCI_COMMAND_IO | PCI_COMMAND_MEMORY, 2);
}

static void test_nvidia_vga_ports_lead_to_the_guests_registers(void **state)
{
	static const uint32_t homes[] = { 0x88000, 0x1800 };
	uint8_t *vga;
	(void)state;
	decode_ports(&zoo_gpu, ",x-vga=on");
	vga = fake_dev_vga(hw);
	for (unsigned int i = 0; i < 2; i++) {
		uint32_t bar = pcidev_cfg_read(&p->pd, PCI_BASE_ADDRESS_0, 4);
		out(0x3d4, 0x0338, 2);
		out(0x3d0, homes[i] + PCI_BASE_ADDRESS_0, 4);
		assert_int_equal(get_le32(vga + 0x3d0), homes[i] + PCI_BASE_ADDRESS_0);
		put_le32(vga + 0x3d0, HOST_ADDR);
		assert_int_equal(in(0x3d0, 4), HOST_ADDR); /* not the data yet */
		/* Index and data as two bytes are the same as one word. */
		out(0x3d4, 0x38, 1);
		out(0x3d5, 0x05, 1);
		assert_int_equal(in(0x3d0, 4), bar);
		assert_int_equal(in(0x3d2, 2), bar >> 16);
		out(0x3d4, 0x0738, 2);
		out(0x3d0, 0xc8000000, 4);
		assert_int_equal(pcidev_cfg_read(&p->pd, PCI_BASE_ADDRESS_0, 4), 0xc8000000);
		assert_int_equal(get_le32(vga + 0x3d0), HOST_ADDR);
	}
	/* What is no configuration space is the card's, as is another CRT register. */
	out(0x3d4, 0x0338, 2);
	out(0x3d0, 0x100, 4);
	out(0x3d4, 0x0538, 2);
	put_le32(vga + 0x3d0, 0x4711);
	assert_int_equal(in(0x3d0, 4), 0x4711);
	out(0x3d4, 0x050c, 2);
	assert_int_equal(get_le16(vga + 0x3d4), 0x050c);
	/* A reset forgets. */
	out(0x3d4, 0x0338, 2);
	out(0x3d0, 0x88000, 4);
	out(0x3d4, 0x0538, 2);
	assert_int_equal(in(0x3d0, 4), pcidev_cfg_read(&p->pd, PCI_VENDOR_ID, 4));
	pcidev_reset(&p->pd, false);
	pcidev_cfg_write(&p->pd, PCI_COMMAND, PCI_COMMAND_IO, 2);
	put_le32(vga + 0x3d0, 0x4711);
	assert_int_equal(in(0x3d0, 4), 0x4711);
}

static void test_ati_vga_port_tells_the_guests_ports(void **state)
{
	(void)state;
	decode_ports(&zoo_radeon, ",x-vga=on");
	io_at(4, 0xab00);
	assert_int_equal(in(0x3c3, 1), 0xab);
	out(0x3c3, 0x01, 1);
	assert_int_equal(fake_dev_vga(hw)[0x3c3], 0x01);
	assert_int_equal(in(0x3c2, 1), 0);
	void *again = NULL;
	assert_int_equal(rig_teardown(&again), 0);
	rig_setup(&again);
	decode_ports(&zoo_radeon, ",x-vga=on,quirks=off");
	io_at(4, 0xab00);
	fake_dev_vga(hw)[0x3c3] = 0x17;
	assert_int_equal(in(0x3c3, 1), 0x17);
}

static void test_every_row_is_documented(void **state)
{
	const char *const docs[] = { "docs/quirks.md", "docs/man/vfio-vmm.1.scd" };
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(docs); i++) {
		char *text = slurp(docs[i]);
		for (unsigned int r = 0; quirk_row(r); r++)
			if (!strstr(text, quirk_row(r)->name))
				fail_msg("%s does not name %s", docs[i], quirk_row(r)->name);
		free(text);
	}
}

static void test_every_row_has_an_animal(void **state)
{
	char *all = NULL;
	size_t len = 0;
	(void)state;
	FILE *f = open_memstream(&all, &len);
	for (size_t i = 0; i < zoo_count; i++) {
		const bool gpu = zoo_all[i]->vendor == 0x10de && zoo_all[i] != &zoo_gpu_full &&
				 zoo_all[i]->class_code >> 16 == 3;
		rp.plat.reserve = reserve;
		reserves = 0;
		if (zoo_all[i] != &zoo_msix_off_bar && zoo_all[i] != &zoo_msix_no_bar) {
			char more[64];
			snprintf(more, sizeof(more), "%s%s", gpu ? ",x-nv-gpudirect-clique=3" : "",
				 zoo_all[i]->flags & FAKE_DEV_HAS_VGA ? ",x-vga=on" : "");
			rig_with(zoo_all[i], more);
			quirks_describe(p, f);
			/* No device that is not in the table has a quirk. */
			for (unsigned int r = 0, known = 0; p->quirks && !known; r++) {
				assert_non_null(quirk_row(r));
				known = quirk_row(r)->vendor == zoo_all[i]->vendor;
			}
		}
		assert_int_equal(rig_teardown(state), 0);
		rig_setup(state);
	}
	fclose(f);
	for (unsigned int r = 0; quirk_row(r); r++)
		if (!strstr(all, quirk_row(r)->name))
			fail_msg("no animal needs %s", quirk_row(r)->name);
	free(all);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		RIG_TEST(test_nvidia_mirror_shows_the_guests_registers),
		RIG_TEST(test_nvidia_mirror_keeps_the_msi_message_from_hardware),
		RIG_TEST(test_mirror_survives_the_write_that_ends_its_bar),
		RIG_TEST(test_nvidia_ports_reach_the_guests_registers),
		RIG_TEST(test_compute_gpu_has_no_mirror),
		RIG_TEST(test_ati_mirrors_show_the_guests_registers),
		RIG_TEST(test_doorbells_of_newer_radeons_are_mapped),
		RIG_TEST(test_clique_goes_where_there_is_room),
		RIG_TEST(test_clique_that_makes_no_sense_is_refused),
		RIG_TEST(test_vmd_shows_what_its_windows_physically_are),
		RIG_TEST(test_radeon_without_reset_is_said),
		RIG_TEST(test_realtek_window_is_the_guests_msix_table),
		RIG_TEST(test_realtek_without_its_quirk_gets_the_hosts_table),
		RIG_TEST(test_opregion_is_in_guest_memory),
		RIG_TEST(test_no_opregion_without_the_quirk),
		RIG_TEST(test_opregion_that_is_none_is_refused),
		RIG_TEST(test_opregion_that_can_t_be_read_is_named),
		RIG_TEST(test_machine_without_room_for_an_opregion),
		RIG_TEST(test_chelsios_pending_bits_are_where_they_fit),
		RIG_TEST(test_kunluns_pending_bits_are_where_they_fit),
		RIG_TEST(test_nvidia_vga_ports_lead_to_the_guests_registers),
		RIG_TEST(test_ati_vga_port_tells_the_guests_ports),
		RIG_TEST(test_every_row_is_documented),
		RIG_TEST(test_every_row_has_an_animal),
	};
	sys = &sys_fake;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
