// SPDX-License-Identifier: GPL-2.0-or-later
//
// The journal of bindings: one small text file a function, written whole (temporary name, fsync,
// rename) before anything about the function changes, removed when it has been undone. A file of
// an earlier boot is stale: the kernel has forgotten every binding since. Also the lock that
// keeps two transactions apart. Must not know how functions are bound.
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>

#include "core/sys.h"
#include "vfio/bind_int.h"

#define PATH_SIZE    512
#define TEXT_SIZE    1024
#define HEADING	     "vfio-bind journal 1"
#define NAME_PREFIX  "bind-"
#define LOCK_STEP_MS 100
#define LOCK_STEPS   100

static char *journal_path(char *buf, size_t size, const struct bdf *at)
{
	char name[BDF_STR_MAX];
	return hostpci_path(buf, size, BIND_JOURNAL_DIR "/" NAME_PREFIX "%s", bdf_str(at, name));
}

/* "unknown" is the same boot as any: /run is empty after a boot anyway, and a journal taken for
 * stale by mistake would leave its function with vfio-pci for good. */
#define BOOT_UNKNOWN "unknown"

static void boot_id(char *buf, size_t size)
{
	char path[PATH_SIZE];
	hostpci_path(path, sizeof(path), "/proc/sys/kernel/random/boot_id");
	if (sys_read_text(path, buf, size) <= 0)
		snprintf(buf, size, BOOT_UNKNOWN);
}

static bool same_boot(const char *boot)
{
	char now[64];
	boot_id(now, sizeof(now));
	return strcmp(boot, now) == 0 || strcmp(boot, BOOT_UNKNOWN) == 0 ||
	       strcmp(now, BOOT_UNKNOWN) == 0;
}

int bind_journal_folder(struct verr *reterr)
{
	char path[PATH_SIZE];
	struct stat st;
	hostpci_path(path, sizeof(path), BIND_JOURNAL_DIR);
	int r = sys->mkdir(path, 0700);
	if (r < 0 && r != -EEXIST)
		return verr_prefix(reterr, r, "can't create %s", path);
	r = sys->stat(path, &st);
	if (r < 0)
		return verr_prefix(reterr, r, "can't examine %s", path);
	if (!S_ISDIR(st.st_mode) || (st.st_mode & (S_IWGRP | S_IWOTH)))
		return verr_set(reterr, -EPERM,
				"%s is not a folder that only its owner can write to (remove it)",
				path);
	return 0;
}

int bind_journal_lock(int *ret_fd, struct verr *reterr)
{
	char path[PATH_SIZE];
	hostpci_path(path, sizeof(path), BIND_JOURNAL_DIR "/lock");
	int fd = sys_open(path, O_RDWR | O_CREAT, 0600);
	if (fd < 0)
		return verr_prefix(reterr, fd, "can't open %s", path);

	int r = sys_flock(fd, LOCK_EX | LOCK_NB);
	for (unsigned int i = 0; r == -EWOULDBLOCK && i < LOCK_STEPS; i++) {
		sys->poll(NULL, 0, LOCK_STEP_MS);
		r = sys_flock(fd, LOCK_EX | LOCK_NB);
	}
	if (r < 0) {
		sys_close(fd);
		if (r == -EWOULDBLOCK)
			return verr_set(reterr, -EBUSY,
					"another vfio-bind is at work: it holds %s (see: fuser %s)",
					path, path);
		return verr_prefix(reterr, r, "can't lock %s", path);
	}
	*ret_fd = fd;
	return 0;
}

int bind_journal_write(const struct bind_journal *j, struct verr *reterr)
{
	char path[PATH_SIZE], text[TEXT_SIZE], boot[64], name[BDF_STR_MAX];
	boot_id(boot, sizeof(boot));
	int n = snprintf(text, sizeof(text),
			 HEADING "\nfunction %s\ndriver %s\nmodule %s\noverride %s\nboot %s\n"
				 "step %s\nend\n",
			 bdf_str(&j->at, name), j->driver, j->module, j->override, boot,
			 j->bound ? "bound" : "binding");
	if (n < 0 || (size_t)n >= sizeof(text))
		return verr_set(reterr, -EFBIG, "the journal of %s is too long", name);
	return sys_replace_file(journal_path(path, sizeof(path), &j->at), text, reterr);
}

/* --- reading --------------------------------------------------------------------------------- */

/* "key value\n" at *pos; the value is copied and *pos moves past it. */
static bool take(const char **pos, const char *key, char *value, size_t size)
{
	size_t len = strlen(key);
	if (strncmp(*pos, key, len) != 0 || (*pos)[len] != ' ')
		return false;
	const char *from = *pos + len + 1, *end = strchr(from, '\n');
	if (!end || (size_t)(end - from) >= size)
		return false;
	memcpy(value, from, (size_t)(end - from));
	value[end - from] = '\0';
	*pos = end + 1;
	return true;
}

static bool parse(const char *text, struct bind_journal *j)
{
	char at[BDF_STR_MAX], boot[64], step[16];
	const char *pos = text;
	if (strncmp(pos, HEADING "\n", sizeof(HEADING)) != 0)
		return false;
	pos += sizeof(HEADING);
	if (!take(&pos, "function", at, sizeof(at)) || bdf_parse(at, &j->at, NULL) < 0 ||
	    !take(&pos, "driver", j->driver, sizeof(j->driver)) ||
	    !take(&pos, "module", j->module, sizeof(j->module)) ||
	    !take(&pos, "override", j->override, sizeof(j->override)) ||
	    !take(&pos, "boot", boot, sizeof(boot)) || !take(&pos, "step", step, sizeof(step)) ||
	    strcmp(pos, "end") != 0)
		return false;
	/* These become path components: nothing but a plain name may pass. */
	if (strchr(j->driver, '/') || strcmp(j->driver, "..") == 0)
		return false;
	j->stale = !same_boot(boot);
	j->bound = strcmp(step, "bound") == 0;
	return true;
}

int bind_journal_read(const struct bdf *at, struct bind_journal *ret, struct verr *reterr)
{
	char path[PATH_SIZE], text[TEXT_SIZE];
	struct bind_journal j = { .bound = false };
	ssize_t n = sys_read_text(journal_path(path, sizeof(path), at), text, sizeof(text));
	if (n == -ENOENT)
		return -ENOENT;
	if (n < 0 && n != -EFBIG)
		return verr_prefix(reterr, (int)n, "can't read %s", path);
	if (n < 0 || !parse(text, &j) || !bdf_equal(&j.at, at))
		return verr_set(reterr, -EBADMSG,
				"the journal %s is damaged (give the function its driver by hand, "
				"then remove that file)",
				path);
	*ret = j;
	return 0;
}

int bind_journal_remove(const struct bdf *at, struct verr *reterr)
{
	char path[PATH_SIZE];
	int r = sys->unlink(journal_path(path, sizeof(path), at));
	if (r < 0 && r != -ENOENT)
		return verr_prefix(reterr, r, "can't remove %s", path);
	return 0;
}

/* What a crash left of a file that was being written: it was never in force. */
static int find_temporary(void *opaque, const char *file)
{
	size_t len = strlen(file);
	if (strncmp(file, NAME_PREFIX, strlen(NAME_PREFIX)) != 0 || len < 4 || len > 60 ||
	    strcmp(file + len - 4, ".tmp") != 0)
		return 0;
	memcpy(opaque, file, len + 1);
	return 1;
}

void bind_journal_tidy(void)
{
	char path[PATH_SIZE], file[64];
	do
		hostpci_path(path, sizeof(path), BIND_JOURNAL_DIR);
	while (sys->listdir(path, find_temporary, file) == 1 &&
	       sys->unlink(hostpci_path(path, sizeof(path), BIND_JOURNAL_DIR "/%s", file)) == 0);
}

/* --- listing --------------------------------------------------------------------------------- */

struct names {
	struct bdf *v;
	unsigned int n, cap;
};

static int add_name(void *opaque, const char *file)
{
	struct names *s = (struct names *)opaque;
	struct bdf at;
	if (strncmp(file, NAME_PREFIX, strlen(NAME_PREFIX)) != 0 ||
	    bdf_parse(file + strlen(NAME_PREFIX), &at, NULL) < 0)
		return 0; /* the lock, or a temporary that a crash left */
	if (s->n == s->cap) {
		unsigned int cap = s->cap ? s->cap * 2 : 8;
		struct bdf *v = (struct bdf *)reallocarray(s->v, cap, sizeof(*v));
		if (!v)
			return -ENOMEM;
		s->v = v;
		s->cap = cap;
	}
	s->v[s->n++] = at;
	return 0;
}

static int compare(const void *a, const void *b)
{
	return bdf_compare((const struct bdf *)a, (const struct bdf *)b);
}

int bind_journal_list(struct bdf **ret, struct verr *reterr)
{
	char path[PATH_SIZE];
	struct names s = { .v = NULL };
	hostpci_path(path, sizeof(path), BIND_JOURNAL_DIR);
	int r = sys->listdir(path, add_name, &s);
	if (r < 0) {
		free(s.v);
		return verr_prefix(reterr, r, "can't list %s", path);
	}
	if (s.n > 1)
		qsort(s.v, s.n, sizeof(*s.v), compare);
	*ret = s.v;
	return (int)s.n;
}
