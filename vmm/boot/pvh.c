// SPDX-License-Identifier: GPL-2.0-or-later
// Loads an ELF64 kernel that has the PVH entry note: PT_LOAD segments to their physical addresses,
// start info with memory map, initrd and RSDP. Everything in the file is hostile: offsets, sizes
// and counts are checked before use, and no table is read that is larger than a fixed bound.
// Specs: System V gABI chapters 4 and 5; Xen docs/misc/pvh.pandoc and hvm/start_info.h.
#include "vmm/boot/pvh.h"

#include <elf.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "core/accel.h"
#include "core/bytes.h"
#include "core/gmem.h"
#include "core/range.h"
#include "vmm/boot/bootfile.h"
#include "vmm/boot/e820.h"
#include "vmm/boot/gdt.h"
#include "vmm/boot/layout.h"

#define PHDRS_MAX	   64
#define NOTES_MAX	   KIB(64)
#define XEN_PHYS32_ENTRY   18 /* note type: 32-bit physical entry point */
#define START_INFO_MAGIC   UINT32_C(0x336ec578)
#define START_INFO_VERSION 1
#define START_INFO_SIZE	   56
#define MODULE_ENTRY_SIZE  32
#define LINUX_CMDLINE_MAX  2047 /* what Linux keeps of a PVH command line, silently */

VV_STATIC_ASSERT(START_INFO_SIZE + MODULE_ENTRY_SIZE + E820_MAX * E820_PVH_ENTRY_SIZE <= 4096,
		 "start info fits its page");

bool pvh_probe(const uint8_t *start, size_t len)
{
	return len >= SELFMAG && !memcmp(start, ELFMAG, SELFMAG);
}

static const char *machine_name(unsigned int machine)
{
	switch (machine) {
	case EM_386:
		return "32-bit x86";
	case EM_ARM:
		return "arm";
	case EM_AARCH64:
		return "aarch64";
	case EM_RISCV:
		return "riscv";
	case EM_PPC64:
		return "ppc64";
	case EM_S390:
		return "s390";
	case EM_MIPS:
		return "mips";
	default:
		return NULL;
	}
}

static int check_header(const struct boot_file *f, const Elf64_Ehdr *h, struct verr *reterr)
{
	const char *machine = machine_name(h->e_machine);

	if (h->e_ident[EI_DATA] != ELFDATA2LSB)
		return boot_file_bad(f, reterr, "is a big-endian ELF, an x86-64 kernel is needed");
	if (machine)
		return boot_file_bad(f, reterr, "is an ELF for %s, an x86-64 kernel is needed",
				     machine);
	if (h->e_machine != EM_X86_64)
		return boot_file_bad(f, reterr,
				     "is an ELF for machine %u, an x86-64 kernel is "
				     "needed",
				     h->e_machine);
	if (h->e_ident[EI_CLASS] != ELFCLASS64)
		return boot_file_bad(f, reterr, "is a 32-bit ELF, a 64-bit one is needed");
	if (h->e_type != ET_EXEC && h->e_type != ET_DYN)
		return boot_file_bad(f, reterr,
				     "is an ELF of type %u, not an executable (a module "
				     "or object file?)",
				     h->e_type);
	if (h->e_phentsize != sizeof(Elf64_Phdr) || h->e_phnum == 0)
		return boot_file_bad(f, reterr, "has no ELF program headers");
	if (h->e_phnum > PHDRS_MAX)
		return boot_file_bad(f, reterr, "has %u ELF program headers, at most %d are read",
				     h->e_phnum, PHDRS_MAX);
	return 0;
}

static int add_segment(const struct boot_file *f, const Elf64_Phdr *ph, struct pvh *p,
		       struct verr *reterr)
{
	struct range r, old;
	unsigned int at = p->n_seg;

	if (ph->p_filesz > ph->p_memsz)
		return boot_file_bad(f, reterr,
				     "segment at %#" PRIx64 " has more bytes in the file "
				     "than in memory",
				     ph->p_paddr);
	if (ph->p_memsz == 0)
		return 0;
	if (ph->p_offset > f->size || ph->p_filesz > f->size - ph->p_offset)
		return boot_file_bad(f, reterr,
				     "is truncated: segment at %#" PRIx64 " needs %" PRIu64
				     " bytes from %" PRIu64 ", the file ends at %" PRIu64,
				     ph->p_paddr, ph->p_filesz, ph->p_offset, f->size);
	if (!range_make(ph->p_paddr, ph->p_memsz, &r) || r.last >= GIB(4))
		return boot_file_bad(f, reterr,
				     "segment at %#" PRIx64 " of %#" PRIx64 " bytes does "
				     "not end below 4 GiB",
				     ph->p_paddr, ph->p_memsz);
	if (r.first < MIB(1))
		return boot_file_bad(f, reterr,
				     "segment at %#" PRIx64 " is below 1 MiB, where boot "
				     "data goes",
				     ph->p_paddr);
	for (unsigned int i = 0; i < p->n_seg; i++) {
		range_make(p->seg[i].gpa, p->seg[i].memsz, &old);
		if (range_overlaps(r, old))
			return boot_file_bad(f, reterr,
					     "segments at %#" PRIx64 " and %#" PRIx64 " overlap",
					     p->seg[i].gpa, ph->p_paddr);
	}
	if (p->n_seg == PVH_SEGMENTS_MAX)
		return boot_file_bad(f, reterr, "has more than %d segments", PVH_SEGMENTS_MAX);
	for (; at > 0 && p->seg[at - 1].gpa > r.first; at--)
		p->seg[at] = p->seg[at - 1];
	p->seg[at] = (struct pvh_segment){ ph->p_offset, ph->p_filesz, r.first, ph->p_memsz };
	p->n_seg++;
	p->end = MAX(p->end, r.last + 1);
	return 0;
}

/* One PT_NOTE segment's bytes. 1: found. A malformed note ends the search: notes are a list, and
 * nothing after a bad length can be trusted. */
static int find_entry(const uint8_t *notes, size_t len, size_t align, uint32_t *ret)
{
	size_t off = 0;

	while (len - off >= sizeof(Elf64_Nhdr)) {
		uint32_t namesz = get_le32(notes + off), descsz = get_le32(notes + off + 4);
		uint32_t type = get_le32(notes + off + 8);
		size_t name = off + sizeof(Elf64_Nhdr), desc, next;

		if (namesz > len - name)
			return 0;
		desc = ALIGN_UP(name + namesz, align);
		if (desc > len || descsz > len - desc)
			return 0;
		if (type == XEN_PHYS32_ENTRY && namesz == 4 && !memcmp(notes + name, "Xen", 4) &&
		    (descsz == 4 || descsz == 8)) {
			if (get_le(notes + desc, descsz) > UINT32_MAX)
				return 0;
			*ret = get_le32(notes + desc);
			return 1;
		}
		next = ALIGN_UP(desc + descsz, align);
		if (next > len)
			return 0;
		off = next;
	}
	return 0;
}

static int read_notes(const struct boot_file *f, const Elf64_Phdr *ph, uint32_t *ret_entry,
		      struct verr *reterr)
{
	static const size_t max = NOTES_MAX;
	uint8_t *buf;
	int r;

	if (ph->p_filesz == 0)
		return 0;
	if (ph->p_filesz > max)
		return boot_file_bad(f, reterr,
				     "has %" PRIu64 " bytes of ELF notes, at most %zu are "
				     "read",
				     ph->p_filesz, max);
	buf = malloc(ph->p_filesz);
	if (!buf)
		return verr_set(reterr, -ENOMEM, "kernel %s: out of memory", f->path);
	r = boot_file_read(f, ph->p_offset, buf, ph->p_filesz, reterr);
	if (r == 0)
		r = find_entry(buf, ph->p_filesz, ph->p_align == 8 ? 8 : 4, ret_entry);
	free(buf);
	return r;
}

int pvh_parse(const struct boot_file *f, struct pvh *ret, struct verr *reterr)
{
	struct pvh p = { .n_seg = 0 };
	Elf64_Phdr ph[PHDRS_MAX];
	bool noted = false, inside = false;
	Elf64_Ehdr h;
	int r;

	r = boot_file_read(f, 0, &h, sizeof(h), reterr);
	if (r == 0)
		r = check_header(f, &h, reterr);
	if (r == 0)
		r = boot_file_read(f, h.e_phoff, ph, h.e_phnum * sizeof(ph[0]), reterr);
	for (unsigned int i = 0; r >= 0 && i < h.e_phnum; i++) {
		if (ph[i].p_type == PT_LOAD) {
			r = add_segment(f, &ph[i], &p, reterr);
		} else if (ph[i].p_type == PT_NOTE && !noted) {
			r = read_notes(f, &ph[i], &p.entry, reterr);
			noted = r > 0;
		}
	}
	if (r < 0)
		return r;
	if (p.n_seg == 0)
		return boot_file_bad(f, reterr, "has no loadable ELF segment");
	if (!noted)
		return boot_file_bad(f, reterr,
				     "has no PVH entry note (a Linux kernel needs "
				     "CONFIG_PVH=y; or use its bzImage)");
	for (unsigned int i = 0; i < p.n_seg; i++)
		inside |= p.entry >= p.seg[i].gpa && p.entry - p.seg[i].gpa < p.seg[i].memsz;
	if (!inside)
		return boot_file_bad(f, reterr,
				     "its PVH entry point %#x is in none of its segments", p.entry);
	*ret = p;
	return 0;
}

static int place_segments(const struct pvh *p, const struct boot_env *e, struct verr *reterr)
{
	for (unsigned int i = 0; i < p->n_seg; i++) {
		const struct pvh_segment *s = &p->seg[i];
		void *rest;
		int r;

		r = boot_file_load(e->kernel, s->off, s->filesz, e->ram, s->gpa, reterr);
		if (r < 0)
			return r;
		if (s->memsz == s->filesz)
			continue;
		rest = gmem_ptr(e->ram, s->gpa + s->filesz, s->memsz - s->filesz);
		if (!rest)
			return boot_file_bad(e->kernel, reterr,
					     "segment at %#" PRIx64 " is not in guest RAM", s->gpa);
		memset(rest, 0, s->memsz - s->filesz);
	}
	return 0;
}

static int place_start_info(const struct boot_env *e, uint64_t initrd, struct verr *reterr)
{
	uint64_t modules = PC_BOOT_PVH_INFO + START_INFO_SIZE;
	uint64_t map = modules + MODULE_ENTRY_SIZE;
	uint8_t page[4096] = { 0 };

	put_le32(page, START_INFO_MAGIC);
	put_le32(page + 4, START_INFO_VERSION);
	put_le32(page + 12, e->initrd ? 1 : 0);
	put_le64(page + 16, e->initrd ? modules : 0);
	put_le64(page + 24, PC_BOOT_CMDLINE);
	put_le64(page + 32, e->rsdp);
	put_le64(page + 40, map);
	put_le32(page + 48, e->map->n);
	put_le64(page + START_INFO_SIZE, initrd);
	put_le64(page + START_INFO_SIZE + 8, e->initrd ? e->initrd->size : 0);
	e820_encode_pvh(e->map, page + START_INFO_SIZE + MODULE_ENTRY_SIZE);
	return boot_place(e, "start info", PC_BOOT_PVH_INFO, page, sizeof(page), reterr);
}

int pvh_load(const struct pvh *p, const struct boot_env *e, struct boot_state *ret,
	     struct verr *reterr)
{
	uint64_t low = e->layout->ram_low_size;
	struct boot_state s = { .mode = BOOT_PVH32 };
	uint64_t initrd;
	int r;

	if (p->end > low)
		return boot_file_bad(e->kernel, reterr,
				     "needs RAM up to %" PRIu64 " MiB, the guest "
				     "has %" PRIu64 " MiB below 4 GiB (give it more with --memory)",
				     (p->end + MIB(1) - 1) >> 20, low >> 20);
	r = boot_place_initrd(e, p->end, low - 1, &initrd, reterr);
	if (r == 0)
		r = boot_place_cmdline(e, LINUX_CMDLINE_MAX, reterr);
	if (r == 0)
		r = place_segments(p, e, reterr);
	if (r == 0)
		r = place_start_info(e, initrd, reterr);
	if (r == 0)
		r = gdt_place(e, GDT_CODE32, reterr);
	if (r < 0)
		return r;
	s.rip = p->entry;
	s.rbx = PC_BOOT_PVH_INFO;
	s.rsp = PC_BOOT_STACK;
	s.gdt_gpa = PC_BOOT_GDT;
	*ret = s;
	return 0;
}
