// SPDX-License-Identifier: GPL-2.0-or-later
// Fabricates kernels and a layout for tests of vmm/boot.
#include "tests/fake/boot_fixture.h"

#include <elf.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "core/bytes.h"

#define MUST(c)                                                                                    \
	do {                                                                                       \
		if (!(c)) {                                                                        \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #c);                    \
			abort();                                                                   \
		}                                                                                  \
	} while (0)

void fixture_layout(struct pc_layout *l, uint64_t ram, unsigned int vcpus)
{
	*l = (struct pc_layout){
		.ram_low_size = MIN(ram, GIB(3)),
		.ram_high_base = PC_HIGH_RAM_BASE,
		.ram_high_size = ram > GIB(3) ? ram - GIB(3) : 0,
		.mmio32 = { GIB(3), UINT64_C(0xdfffffff) },
		.has_mmio64 = true,
		.mmio64 = { UINT64_C(0x800000000), UINT64_C(0xfffffffff) },
		.pio = { 0x1000, 0xffff },
		.ecam_base = UINT64_C(0xe0000000),
		.ecam_buses = 256,
		.lapic_base = 0xfee00000,
		.ioapic_base = 0xfec00000,
		.vcpus = vcpus,
		.reserved = { { 0xfeffc000, 0xfeffffff } },
		.n_reserved = 1,
		.acpi_pm_port = 0x600,
		.has_serial = true,
		.serial_port = 0x3f8,
		.serial_irq = 4,
		.has_rtc = true,
		.has_i8042 = true,
	};
	for (uint8_t dev = 0; dev < PC_PCI_SLOTS; dev++) {
		struct pc_slot *s = &l->slots[l->n_slots++];

		s->dev = dev;
		for (unsigned int pin = 0; pin < 4; pin++)
			s->gsi[pin] = (uint8_t)(PC_PCI_GSI_FIRST + (dev + pin) % 8);
	}
}

static void image_new(struct image *img, size_t len)
{
	img->buf = calloc(1, len);
	img->len = len;
	MUST(img->buf);
}

void fixture_free(struct image *img)
{
	free(img->buf);
	img->buf = NULL;
}

void fixture_bzimage(struct image *img)
{
	uint8_t *b;

	image_new(img, FIXTURE_BZ_PAYLOAD_OFF + FIXTURE_BZ_PAYLOAD);
	b = img->buf;
	b[0x1f1] = 1;				      /* setup_sects */
	put_le32(b + 0x1f4, FIXTURE_BZ_PAYLOAD / 16); /* syssize */
	put_le16(b + 0x1fe, 0xaa55);		      /* boot_flag */
	b[0x200] = 0xeb;			      /* jump, to 0x26c */
	b[0x201] = 0x6a;
	memcpy(b + 0x202, "HdrS", 4);
	put_le16(b + 0x206, 0x20f);	 /* version 2.15 */
	b[0x211] = 1;			 /* loadflags: LOADED_HIGH */
	put_le32(b + 0x22c, 0x7fffffff); /* initrd_addr_max */
	put_le32(b + 0x230, 0x200000);	 /* kernel_alignment */
	b[0x234] = 1;			 /* relocatable */
	put_le16(b + 0x236, 3);		 /* xloadflags: 64-bit, above 4G */
	put_le32(b + 0x238, 2047);	 /* cmdline_size */
	put_le64(b + 0x258, 0x1000000);	 /* pref_address */
	put_le32(b + 0x260, 0x100000);	 /* init_size */
	for (size_t i = FIXTURE_BZ_PAYLOAD_OFF; i < img->len; i++)
		b[i] = (uint8_t)(i * 7 + (i >> 8));
}

static void phdr(uint8_t *b, unsigned int i, Elf64_Phdr ph)
{
	memcpy(b + FIXTURE_ELF_PHDR(i), &ph, sizeof(ph));
}

void fixture_elf(struct image *img)
{
	Elf64_Ehdr h = {
		.e_ident = { 0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, EV_CURRENT },
		.e_type = ET_EXEC,
		.e_machine = EM_X86_64,
		.e_version = EV_CURRENT,
		.e_phoff = FIXTURE_ELF_PHDR(0),
		.e_ehsize = sizeof(h),
		.e_phentsize = sizeof(Elf64_Phdr),
		.e_phnum = 3,
	};
	uint8_t *b;

	image_new(img, 0x2800);
	b = img->buf;
	memcpy(b, &h, sizeof(h));
	phdr(b, 0,
	     (Elf64_Phdr){ .p_type = PT_LOAD,
			   .p_offset = FIXTURE_ELF_TEXT,
			   .p_vaddr = 0xffffffff80100000,
			   .p_paddr = 0x100000,
			   .p_filesz = 0x1000,
			   .p_memsz = 0x1000,
			   .p_align = 0x1000 });
	phdr(b, 1,
	     (Elf64_Phdr){ .p_type = PT_LOAD,
			   .p_offset = FIXTURE_ELF_DATA,
			   .p_vaddr = 0xffffffff80200000,
			   .p_paddr = 0x200000,
			   .p_filesz = 0x800,
			   .p_memsz = 0x3000,
			   .p_align = 0x1000 });
	phdr(b, 2,
	     (Elf64_Phdr){ .p_type = PT_NOTE,
			   .p_offset = FIXTURE_ELF_NOTE,
			   .p_filesz = 24 + 20,
			   .p_memsz = 24 + 20,
			   .p_align = 4 });
	/* A note of someone else, whose name and contents need padding, before ours. */
	put_le32(b + FIXTURE_ELF_NOTE, 6);
	put_le32(b + FIXTURE_ELF_NOTE + 4, 3);
	put_le32(b + FIXTURE_ELF_NOTE + 8, 0x100);
	memcpy(b + FIXTURE_ELF_NOTE + 12, "Linux", 6);
	put_le32(b + FIXTURE_ELF_NOTE + 24, 4);
	put_le32(b + FIXTURE_ELF_NOTE + 28, 4);
	put_le32(b + FIXTURE_ELF_NOTE + 32, 18); /* XEN_ELFNOTE_PHYS32_ENTRY */
	memcpy(b + FIXTURE_ELF_NOTE + 36, "Xen", 4);
	put_le32(b + FIXTURE_ELF_NOTE + 40, FIXTURE_ELF_ENTRY);
	for (size_t i = FIXTURE_ELF_TEXT; i < img->len; i++)
		b[i] = (uint8_t)(i * 5 + (i >> 8) + 1);
}

static char paths[2][64];

const char *fixture_file(unsigned int slot, const void *data, size_t len)
{
	int fd;

	MUST(slot < ARRAY_SIZE(paths));
	if (paths[slot][0])
		unlink(paths[slot]);
	snprintf(paths[slot], sizeof(paths[slot]), "/tmp/vv-boot-%u-XXXXXX", slot);
	fd = mkostemp(paths[slot], 0);
	MUST(fd >= 0);
	for (size_t off = 0; off < len;) {
		ssize_t n = write(fd, (const char *)data + off, len - off);

		MUST(n > 0);
		off += (size_t)n;
	}
	close(fd);
	return paths[slot];
}

void fixture_cleanup(void)
{
	for (unsigned int i = 0; i < ARRAY_SIZE(paths); i++) {
		if (paths[i][0])
			unlink(paths[i]);
		paths[i][0] = 0;
	}
}

static void ram_add(struct fixture_ram *r, struct gmem_region *reg, uint64_t gpa, uint64_t size)
{
	void *hva;

	if (size == 0)
		return;
	hva = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
		   -1, 0);
	MUST(hva != MAP_FAILED);
	*reg = (struct gmem_region){
		.name = "ram", .kind = GMEM_RAM, .gpa = gpa, .size = size, .hva = hva, .fd = -1
	};
	MUST(gmem_add(&r->gmem, reg, NULL) == 0);
}

void fixture_ram_open(struct fixture_ram *r, const struct pc_layout *l)
{
	memset(r, 0, sizeof(*r));
	gmem_init(&r->gmem);
	ram_add(r, &r->low, 0, l->ram_low_size);
	ram_add(r, &r->high, l->ram_high_base, l->ram_high_size);
}

static void ram_del(struct gmem_region *reg)
{
	if (!reg->hva)
		return;
	gmem_del(reg);
	munmap(reg->hva, reg->size);
}

void fixture_ram_close(struct fixture_ram *r)
{
	ram_del(&r->low);
	ram_del(&r->high);
	gmem_fini(&r->gmem);
}

const uint8_t *fixture_at(const struct fixture_ram *r, uint64_t gpa, uint64_t len)
{
	const uint8_t *p = gmem_ptr(&r->gmem, gpa, len);

	MUST(p);
	return p;
}

unsigned int fixture_real_kernels(const char *name, void (*each)(const char *path))
{
	const char *cache = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
	char pattern[512];
	unsigned int n = 0;
	glob_t g;

	if (cache && *cache)
		snprintf(pattern, sizeof(pattern), "%s/vfio-vmm/kernel-*/%s", cache, name);
	else if (home)
		snprintf(pattern, sizeof(pattern), "%s/.cache/vfio-vmm/kernel-*/%s", home, name);
	else
		return 0;
	if (glob(pattern, 0, NULL, &g) != 0)
		return 0;
	for (; n < g.gl_pathc; n++)
		each(g.gl_pathv[n]);
	globfree(&g);
	return n;
}
