// SPDX-License-Identifier: GPL-2.0-or-later
// Reads boot files and places what every kernel format needs alike: initrd, command line, tables.
// Owns the open files. Knows no image format.
#include "vmm/boot/bootfile.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/gmem.h"
#include "core/sys.h"
#include "vmm/boot/layout.h"

int boot_file_bad(const struct boot_file *f, struct verr *reterr, const char *fmt, ...)
{
	char text[384];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	return verr_set(reterr, -EINVAL, "%s %s: %s", f->what, f->path, text);
}

int boot_file_open(struct boot_file *f, const char *what, const char *path, struct verr *reterr)
{
	struct boot_file nf = { .what = what, .fd = -1 };
	struct stat st;
	int r;

	nf.fd = sys_open(path, O_RDONLY | O_NONBLOCK, 0); /* a FIFO must not make us wait */
	if (nf.fd < 0)
		return verr_set(reterr, nf.fd, "%s %s: %s", what, path, strerror(-nf.fd));
	r = sys->fstat(nf.fd, &st);
	if (r < 0) {
		verr_set(reterr, r, "%s %s: %s", what, path, strerror(-r));
		goto fail;
	}
	if (!S_ISREG(st.st_mode)) {
		r = verr_set(reterr, S_ISDIR(st.st_mode) ? -EISDIR : -EINVAL,
			     "%s %s: is %s, not a regular file", what, path,
			     S_ISDIR(st.st_mode) ? "a directory" : "a device or pipe");
		goto fail;
	}
	if (st.st_size <= 0) {
		r = verr_set(reterr, -EINVAL, "%s %s: is empty", what, path);
		goto fail;
	}
	nf.size = (uint64_t)st.st_size;
	nf.path = strdup(path);
	if (!nf.path) {
		r = verr_set(reterr, -ENOMEM, "%s %s: out of memory", what, path);
		goto fail;
	}
	*f = nf;
	return 0;
fail:
	sys_close_fd(&nf.fd);
	return r;
}

void boot_file_close(struct boot_file *f)
{
	if (!f->path)
		return;
	sys_close_fd(&f->fd);
	free(f->path);
	f->path = NULL;
}

int boot_file_read(const struct boot_file *f, uint64_t off, void *buf, size_t len,
		   struct verr *reterr)
{
	uint8_t *p = buf;

	/* The size of the time of opening is the first bound: no seek beyond what a file can be. */
	if (off > f->size || len > f->size - off)
		return verr_set(reterr, -ENODATA,
				"%s %s: is truncated: ends at byte %" PRIu64
				", %zu bytes are needed from %" PRIu64,
				f->what, f->path, f->size, len, off);
	while (len > 0) {
		ssize_t n = sys_pread(f->fd, p, MIN(len, (size_t)MIB(1024)), (off_t)off);

		if (n < 0)
			return verr_set(reterr, (int)n, "%s %s: reading at byte %" PRIu64 ": %s",
					f->what, f->path, off, strerror((int)-n));
		if (n == 0)
			return verr_set(reterr, -ENODATA,
					"%s %s: was truncated while in use, at "
					"byte %" PRIu64,
					f->what, f->path, off);
		p += n;
		off += (uint64_t)n;
		len -= (size_t)n;
	}
	return 0;
}

int boot_file_load(const struct boot_file *f, uint64_t off, uint64_t len, struct gmem *ram,
		   uint64_t gpa, struct verr *reterr)
{
	void *hva;

	if (len == 0)
		return 0;
	hva = gmem_ptr(ram, gpa, len);
	if (!hva)
		return verr_set(reterr, -EFAULT,
				"%s %s: %" PRIu64 " bytes at %#" PRIx64 " are not in guest RAM",
				f->what, f->path, len, gpa);
	return boot_file_read(f, off, hva, (size_t)len, reterr);
}

int boot_place(const struct boot_env *e, const char *name, uint64_t gpa, const void *data,
	       size_t len, struct verr *reterr)
{
	int r = gmem_write(e->ram, gpa, data, len);

	if (r < 0)
		return verr_set(reterr, r, "%s at %#" PRIx64 ": not in guest RAM", name, gpa);
	return 0;
}

int boot_place_cmdline(const struct boot_env *e, size_t max, struct verr *reterr)
{
	size_t len = strlen(e->cmdline);

	if (max > PC_BOOT_CMDLINE_SIZE - 1)
		max = PC_BOOT_CMDLINE_SIZE - 1;
	if (len > max)
		return verr_set(reterr, -E2BIG,
				"the kernel command line is %zu bytes long, "
				"%s takes at most %zu",
				len, e->kernel->path, max);
	return boot_place(e, "command line", PC_BOOT_CMDLINE, e->cmdline, len + 1, reterr);
}

int boot_place_initrd(const struct boot_env *e, uint64_t first, uint64_t last, uint64_t *ret_gpa,
		      struct verr *reterr)
{
	const struct boot_file *f = e->initrd;
	uint64_t gpa, end;
	int r;

	if (!f) {
		*ret_gpa = 0;
		return 0;
	}
	first = ALIGN_UP(first, KIB(4));
	end = MIN(last, e->layout->ram_low_size - 1) + 1;
	if (end <= first || f->size > end - first || ALIGN_DOWN(end - f->size, KIB(4)) < first)
		return verr_set(reterr, -EFBIG,
				"initrd %s: %" PRIu64 " KiB do not fit beside the "
				"kernel, which leaves %" PRIu64 " KiB (give the guest more with "
				"--memory)",
				f->path, (f->size + 1023) >> 10,
				end > first ? (end - first) >> 10 : 0);
	gpa = ALIGN_DOWN(end - f->size, KIB(4));
	r = boot_file_load(f, 0, f->size, e->ram, gpa, reterr);
	if (r < 0)
		return r;
	*ret_gpa = gpa;
	return 0;
}
