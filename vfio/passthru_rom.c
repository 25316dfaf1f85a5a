// SPDX-License-Identifier: GPL-2.0-or-later
// The expansion ROM of an assigned function: the image in its own flash, read whole at the guest's
// first access (most guests never look, and reading it is slow), or a file's. An image that no
// firmware could use is refused, with the reason; the guest then finds no image. Owns the copy.
// PCI Firmware 3.3 5.1: image header (55 aa, pointer at 0x18), "PCIR" structure, chain of images.

#define LOG_TAG "vfio/rom"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <linux/pci_regs.h>

#include "core/bytes.h"
#include "core/log.h"
#include "core/sys.h"
#include "core/trace.h"
#include "vfio/passthru.h"

#define IMAGE_GRAIN  512u
#define ROM_MAX	     MIB(16)
#define PCIR_POINTER 0x18u
#define PCIR_SIZE    0x18u
#define PCIR_VENDOR  0x04u
#define PCIR_DEVICE  0x06u
#define PCIR_LIST    0x08u /* pointer to more device ids, 0: none (revision 3) */
#define PCIR_LENGTH  0x10u /* of this image, in units of IMAGE_GRAIN */
#define PCIR_FLAGS   0x15u
#define PCIR_LAST    0x80u

/* --- what an image has to be ------------------------------------------------------------------ */

static const uint8_t *pcir_of(const uint8_t *img, uint64_t size)
{
	if (size < PCIR_POINTER + 2 || img[0] != 0x55 || img[1] != 0xaa)
		return NULL;
	unsigned int at = get_le16(img + PCIR_POINTER);
	if (at < PCIR_POINTER + 2 || at + PCIR_SIZE > size || memcmp(img + at, "PCIR", 4) != 0)
		return NULL;
	return img + at;
}

/* Tools that dump a card's flash put headers of their own before the image. */
static uint64_t skipped_header(const uint8_t *rom, uint64_t size)
{
	for (uint64_t at = IMAGE_GRAIN; at < size; at += IMAGE_GRAIN)
		if (pcir_of(rom + at, size - at))
			return at;
	return 0;
}

static int refuse_start(const uint8_t *rom, uint64_t size, struct verr *reterr)
{
	uint64_t header = skipped_header(rom, size);

	if (size < PCIR_POINTER + 2)
		return verr_set(reterr, -EINVAL, "%" PRIu64 " bytes are no ROM image", size);
	if (rom[0] == 0x55 && rom[1] == 0xaa)
		return verr_set(reterr, -EINVAL,
				"its image has no PCI data structure (\"PCIR\") at %#x",
				get_le16(rom + PCIR_POINTER));
	if (header)
		return verr_set(reterr, -EINVAL,
				"a header of %" PRIu64 " bytes, which is not part of the ROM, "
				"precedes the image: cut it off",
				header);
	return verr_set(reterr, -EINVAL, "it begins with %02x %02x, a ROM image with 55 aa", rom[0],
			rom[1]);
}

int passthru_rom_check(const uint8_t *rom, uint64_t size, struct verr *reterr)
{
	for (uint64_t at = 0;;) {
		const uint8_t *pcir = pcir_of(rom + at, size - at);

		if (!pcir && at == 0)
			return refuse_start(rom, size, reterr);
		if (!pcir) /* flash is padded: what came before is whole */
			return 0;
		uint64_t len = (uint64_t)get_le16(pcir + PCIR_LENGTH) * IMAGE_GRAIN;
		if (len == 0 || len > size - at)
			return verr_set(reterr, -EINVAL,
					"its image at %#" PRIx64 " claims %" PRIu64
					" bytes, %" PRIu64 " are there",
					at, len, size - at);
		if ((pcir[PCIR_FLAGS] & PCIR_LAST) || size - at - len < PCIR_POINTER + 2)
			return 0;
		at += len;
	}
}

static bool listed(const uint8_t *rom, uint64_t size, const uint8_t *pcir, uint16_t device)
{
	uint64_t at = (uint64_t)(pcir - rom) + get_le16(pcir + PCIR_LIST);

	if (get_le16(pcir + PCIR_LIST) == 0)
		return false;
	for (; at + 2 <= size && get_le16(rom + at) != 0; at += 2)
		if (get_le16(rom + at) == device)
			return true;
	return false;
}

/* Firmware runs an image only if its ids are the function's. */
static int check_ids(const struct passthru *p, const uint8_t *rom, uint64_t size,
		     struct verr *reterr)
{
	uint16_t vendor = (uint16_t)vfio_cfg_read(p->vd, 0, 2);
	uint16_t device = (uint16_t)vfio_cfg_read(p->vd, 2, 2);
	const uint8_t *pcir = pcir_of(rom, size);

	if (get_le16(pcir + PCIR_VENDOR) == vendor &&
	    (get_le16(pcir + PCIR_DEVICE) == device || listed(rom, size, pcir, device)))
		return 0;
	return verr_set(reterr, -EINVAL, "it is for %04x:%04x and the function is %04x:%04x",
			get_le16(pcir + PCIR_VENDOR), get_le16(pcir + PCIR_DEVICE), vendor, device);
}

/* --- from a file ------------------------------------------------------------------------------ */

static int read_all(int fd, uint8_t *buf, uint64_t size)
{
	for (uint64_t done = 0; done < size;) {
		ssize_t n = sys_pread(fd, buf + done, size - done, (off_t)done);

		if (n <= 0)
			return n < 0 ? (int)n : -EIO;
		done += (uint64_t)n;
	}
	return 0;
}

static int load(struct passthru_rom *rom, int fd, struct verr *reterr)
{
	struct stat st;
	int r = sys->fstat(fd, &st);

	if (r < 0)
		return verr_set(reterr, r, "%s", strerror(-r));
	if (!S_ISREG(st.st_mode))
		return verr_set(reterr, -EINVAL, "not a regular file");
	if (st.st_size <= 0 || (uint64_t)st.st_size > ROM_MAX)
		return verr_set(reterr, -EINVAL,
				"%lld bytes: a PCI expansion ROM has 1 byte to 16 MiB",
				(long long)st.st_size);
	rom->size = (uint64_t)st.st_size;
	rom->image = malloc(rom->size);
	if (!rom->image)
		return verr_set(reterr, -ENOMEM, "out of memory");
	r = read_all(fd, rom->image, rom->size);
	return r < 0 ? verr_set(reterr, r, "%s", strerror(-r)) : 0;
}

int passthru_rom_file(struct passthru *p, const char *path, struct verr *reterr)
{
	struct passthru_rom *rom = &p->rom;
	/* A FIFO must not make us wait. */
	int fd = sys_open(path, O_RDONLY | O_NONBLOCK, 0);
	int r = fd;

	if (fd < 0) {
		verr_set(reterr, r, "%s", strerror(-fd));
	} else {
		r = load(rom, fd, reterr);
		sys_close(fd);
		if (r == 0)
			r = passthru_rom_check(rom->image, rom->size, reterr);
		if (r == 0)
			r = check_ids(p, rom->image, rom->size, reterr);
	}
	if (r < 0) {
		passthru_rom_free(p);
		return verr_prefix(reterr, r, "romfile=%s", path);
	}
	rom->from_file = rom->tried = true;
	return 0;
}

/* --- from the device -------------------------------------------------------------------------- */

/* At the guest's first access: memory decoding is on, as reading it needs. */
static int fetch(struct passthru *p, struct verr *reterr)
{
	struct passthru_rom *rom = &p->rom;
	uint64_t size = p->vd->region[PCIDEV_ROM].size;

	rom->image = malloc(size);
	if (!rom->image)
		return verr_set(reterr, -ENOMEM, "out of memory");
	int r = vfio_region_fetch(p->vd, PCIDEV_ROM, rom->image, size);
	if (r < 0)
		return verr_set(reterr, r, "it can't be read: %s", strerror(-r));
	rom->size = size;
	return passthru_rom_check(rom->image, size, reterr);
}

static void forget(struct passthru *p)
{
	free(p->rom.image);
	p->rom.image = NULL;
	p->rom.size = 0;
}

uint64_t passthru_rom_read(struct passthru *p, uint64_t off, unsigned int size)
{
	struct passthru_rom *rom = &p->rom;
	uint8_t buf[8];
	struct verr err = { 0 };

	if (!rom->tried) {
		rom->tried = true;
		int r = fetch(p, &err);
		T(vfio_rom, p->vd->name, rom->size, r);
		if (r < 0) {
			guest_warn("%s: the guest gets no expansion ROM: %s; give an image with "
				   "romfile=, or hide it with rombar=off",
				   p->vd->name, err.msg);
			forget(p);
		}
	}
	/* Beyond the image, flash that is not there reads as erased. */
	memset(buf, 0xff, sizeof(buf));
	if (off < rom->size)
		memcpy(buf, rom->image + off, MIN(size, rom->size - off));
	return get_le(buf, size);
}

/* The flash may hold another image by now (a driver can write it), or answer again. */
void passthru_rom_reset(struct passthru *p)
{
	if (p->rom.from_file)
		return;
	forget(p);
	p->rom.tried = false;
}

void passthru_rom_free(struct passthru *p)
{
	forget(p);
	p->rom.from_file = p->rom.tried = false;
}

void passthru_rom_describe(struct passthru *p, FILE *out)
{
	const struct passthru_config *cfg = p->pd.dev.cfg;
	uint32_t reg = vfio_cfg_read(p->vd, PCI_ROM_ADDRESS, 4);

	if (p->rom.from_file)
		fprintf(out, "  ROM: %#" PRIx64 " bytes from %s\n", p->rom.size, cfg->romfile);
	else if (p->plan.bar[PCIDEV_ROM].kind != PCIBAR_NONE)
		fprintf(out, "  ROM: %#" PRIx64 " bytes, read when the guest asks\n",
			p->vd->region[PCIDEV_ROM].size);
	else if (!cfg->rombar)
		fprintf(out, "  ROM: hidden (rombar=off)\n");
	else if (reg != 0 && reg != UINT32_MAX)
		fprintf(out,
			"  ROM: left out, as the kernel finds no valid image in it (see dmesg); "
			"romfile= gives one\n");
}
