// SPDX-License-Identifier: GPL-2.0-or-later
//
// Open files of the tree: reads of text or of an attribute's show(), writes to a file's data or
// an attribute's store(), which gets each write whole, as sysfs does.
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "tests/fake/fake_fs_int.h"

static ssize_t node_pread(struct fk_node *n, void *buf, size_t len, off_t off)
{
	if (n->dead)
		return -ENODEV;
	if (n->type == FK_NODE_DIR)
		return -EISDIR;
	if (off < 0)
		return -EINVAL;
	if (n->ops && n->ops->pread)
		return n->ops->pread(n->opaque, buf, len, off);
	char text[FK_PAGE];
	const char *data = n->data;
	size_t size = n->len;
	if (n->ops) {
		ssize_t r = n->ops->show ? n->ops->show(n->opaque, text, sizeof(text)) : -EIO;
		if (r < 0)
			return r;
		data = text;
		size = (size_t)r;
	}
	if ((size_t)off >= size)
		return 0;
	size_t take = MIN(len, size - (size_t)off);
	memcpy(buf, data + off, take);
	return (ssize_t)take;
}

static ssize_t fs_pread(struct fk_file *f, void *buf, size_t len, off_t off)
{
	if ((f->flags & O_ACCMODE) == O_WRONLY)
		return -EBADF;
	return node_pread(f->obj, buf, len, off);
}

static ssize_t fs_read(struct fk_file *f, void *buf, size_t len)
{
	ssize_t r = fs_pread(f, buf, len, f->pos);
	if (r > 0)
		f->pos += r;
	return r;
}

static void grow(struct fk_node *n, size_t len)
{
	char *data = realloc(n->data, len + 1);
	if (!data)
		fk_bug("out of memory");
	if (len > n->len)
		memset(data + n->len, 0, len - n->len);
	data[len] = '\0';
	n->data = data;
	n->len = len;
}

static ssize_t fs_pwrite(struct fk_file *f, const void *buf, size_t len, off_t off)
{
	struct fk_node *n = f->obj;
	if ((f->flags & O_ACCMODE) == O_RDONLY)
		return -EBADF;
	if (n->dead)
		return -ENODEV;
	/* The VFS does nothing for an empty write: the attribute never hears of it. */
	if (len == 0)
		return 0;
	if (n->ops) {
		int r = n->ops->store ? n->ops->store(n->opaque, buf, len) : -EIO;
		return r < 0 ? r : (ssize_t)len;
	}
	if (off < 0)
		return -EINVAL;
	size_t end = (size_t)off + len;
	if (end > n->len)
		grow(n, end);
	memcpy(n->data + off, buf, len);
	return (ssize_t)len;
}

static ssize_t fs_write(struct fk_file *f, const void *buf, size_t len)
{
	const struct fk_node *n = f->obj;
	if (f->flags & O_APPEND)
		f->pos = (off_t)n->len;
	ssize_t r = fs_pwrite(f, buf, len, f->pos);
	if (r > 0)
		f->pos += r;
	return r;
}

int fk_fs_ftruncate(struct fk_file *f, off_t len)
{
	struct fk_node *n = f->obj;
	if (n->ops || n->type != FK_NODE_FILE || len < 0)
		return -EINVAL;
	grow(n, (size_t)len);
	return 0;
}

static void fs_release(struct fk_file *f)
{
	fk_node_put(f->obj);
}

static const struct fk_fops fs_fops = {
	.read = fs_read,
	.write = fs_write,
	.pread = fs_pread,
	.pwrite = fs_pwrite,
	.release = fs_release,
};

int fk_fs_install(struct fk_node *n, const char *path, int flags)
{
	int fd = fk_install(FK_FS, &fs_fops, n, "%s", path);
	if (fd < 0)
		return fd;
	n->refs++;
	fk_file(fd)->flags = flags;
	return fd;
}
