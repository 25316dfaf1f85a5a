// SPDX-License-Identifier: GPL-2.0-or-later
// virtio-blk's requests (VIRTIO 1.2 5.2.6), in the I/O thread of their queue: from the driver's
// buffer to operations on the disk's file, one after the other, to a status. Owns the requests.
// What the driver asks for is checked here, once; what it can't be given is a status, a buffer
// that is no request breaks the queue.
#define LOG_TAG "virtio/blk"
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/falloc.h>
#include <linux/virtio_blk.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include "core/bytes.h"
#include "core/log.h"
#include "vmm/virtio/virtio_blk_int.h"

#define HEADER	   16u /* struct virtio_blk_outhdr */
#define RANGE	   16u /* struct virtio_blk_discard_write_zeroes */
#define BOUNCE_MAX KIB(64)
#define ZEROES	   KIB(64)
/* A segment that spans two regions of RAM counts twice. */
#define SEGS (BLK_SEG_MAX + 2 + 8)

enum step {
	STEP_READ,
	STEP_WRITE,
	STEP_SYNC,
	STEP_DISCARD,
	STEP_ZERO,	/* by the file system */
	STEP_ZERO_WRITE /* by writing zeroes: it can't */
};
static const char *const step_words[] = { "read",      "written", "flushed",
					  "discarded", "zeroed",  "zeroed" };

struct blk_range {
	uint64_t off, len; /* bytes */
	bool unmap;
};

struct blk_req {
	struct iothread_io io;
	struct blk_queue *q;
	struct list node; /* while idle */
	struct vq_elem e;
	uint8_t *status; /* in guest memory */
	enum step step;
	struct iovec *iov; /* what is left of the data: within `all` */
	unsigned int n_iov;
	uint64_t off, left; /* bytes, of the data or of the present range */
	uint8_t *bounce;    /* where guest memory is not aligned enough; of bounce_len bytes */
	size_t bounce_len;
	struct iovec bounce_iov;
	struct blk_range range[BLK_RANGES_MAX];
	unsigned int n_ranges, at; /* those, and the present one */
	struct iovec all[SEGS];
};

static const uint8_t zeroes[ZEROES] __attribute__((aligned(4096)));

static void serve(struct blk_queue *q);

/* ---- the end of a request -------------------------------------------------------------------- */

static void give_back(struct blk_req *r)
{
	free(r->bounce);
	r->bounce = NULL;
	list_add_tail(&r->q->idle, &r->node);
}

static void finish(struct blk_req *r, uint8_t status)
{
	struct blk_queue *q = r->q;

	*r->status = status;
	vq_push(q->vq, &r->e, r->e.in_len);
	give_back(r);
	iothread_defer(q->io, &q->flush);
}

static void failed(struct blk_req *r, ssize_t err)
{
	const struct blockdev *d = r->q->s->disk;

	guest_warn("%s: %s can't be %s at byte %" PRIu64 ": %s", r->q->s->vd.pd.dev.id, d->path,
		   step_words[r->step], r->off, err ? strerror((int)-err) : "it ends before that");
	finish(r, VIRTIO_BLK_S_IOERR);
}

/* All requests that ended in a turn are told together, and others may have waited for them. */
static void flush_job(struct iothread_job *j)
{
	struct blk_queue *q = container_of(j, struct blk_queue, flush);

	vq_flush(q->vq);
	if (!q->stopping && (q->again || vq_pending(q->vq)))
		serve(q);
}

/* ---- operations ------------------------------------------------------------------------------ */

static bool aligned(const struct blk_req *r, const struct blockdev *d)
{
	for (unsigned int i = 0; i < r->n_iov; i++)
		if (!IS_ALIGNED((uintptr_t)r->iov[i].iov_base, (uintptr_t)d->mem_align) ||
		    !IS_ALIGNED(r->iov[i].iov_len, (size_t)d->io_align))
			return false;
	return true;
}

/* Guest memory that direct I/O can't use: through memory that it can, a piece at a time. */
static int use_bounce(struct blk_req *r)
{
	size_t len = MIN(r->left, BOUNCE_MAX);

	if (!r->bounce) {
		r->bounce_len = len;
		r->bounce = aligned_alloc(4096, ALIGN_UP(len, (size_t)4096));
		if (!r->bounce)
			return -ENOMEM;
	}
	r->bounce_iov = (struct iovec){ r->bounce, MIN(len, r->bounce_len) };
	if (r->step == STEP_WRITE)
		iov_get(r->iov, r->n_iov, 0, r->bounce, r->bounce_iov.iov_len);
	return 0;
}

static void transfer(struct blk_req *r)
{
	const struct blockdev *d = r->q->s->disk;
	const struct iovec *iov = r->iov;
	unsigned int n = r->n_iov;

	if (d->direct && (!IS_ALIGNED(r->off, (uint64_t)d->io_align) ||
			  !IS_ALIGNED(r->left, (uint64_t)d->io_align))) {
		failed(r, -EINVAL); /* less than a block of it: only the page cache can do that */
		return;
	}
	if (d->direct && (r->bounce || !aligned(r, d))) {
		int e = use_bounce(r);
		if (e < 0) {
			failed(r, e);
			return;
		}
		iov = &r->bounce_iov;
		n = 1;
	}
	if (r->step == STEP_READ)
		iothread_readv(r->q->io, &r->io, d->fd, iov, n, (off_t)r->off);
	else
		iothread_writev(r->q->io, &r->io, d->fd, iov, n, (off_t)r->off);
}

/* As much of the range as there are segments for the zeroes. */
static void write_zeroes(struct blk_req *r)
{
	uint64_t left = r->left;

	for (r->n_iov = 0; left > 0 && r->n_iov < SEGS; r->n_iov++) {
		size_t n = (size_t)MIN(left, ZEROES);
		r->all[r->n_iov] = (struct iovec){ (void *)(uintptr_t)zeroes, n };
		left -= n;
	}
	r->iov = r->all;
	iothread_writev(r->q->io, &r->io, r->q->s->disk->fd, r->iov, r->n_iov, (off_t)r->off);
}

static void allocate(struct blk_req *r)
{
	bool punch = r->step == STEP_DISCARD || r->range[r->at].unmap;

	iothread_fallocate(r->q->io, &r->io, r->q->s->disk->fd,
			   FALLOC_FL_KEEP_SIZE |
				   (punch ? FALLOC_FL_PUNCH_HOLE : FALLOC_FL_ZERO_RANGE),
			   (off_t)r->off, (off_t)r->left);
}

/* Starts the present step's next operation. */
static void go(struct blk_req *r)
{
	switch (r->step) {
	case STEP_READ:
	case STEP_WRITE:
		transfer(r);
		break;
	case STEP_SYNC:
		iothread_fsync(r->q->io, &r->io, r->q->s->disk->fd, true);
		break;
	case STEP_DISCARD:
	case STEP_ZERO:
		allocate(r);
		break;
	case STEP_ZERO_WRITE:
		write_zeroes(r);
		break;
	}
}

/* Data or ranges are through: what was changed may have to reach the disk first. */
static void data_done(struct blk_req *r)
{
	if (r->step == STEP_READ || r->step == STEP_DISCARD ||
	    !__atomic_load_n(&r->q->s->write_through, __ATOMIC_RELAXED)) {
		finish(r, VIRTIO_BLK_S_OK);
		return;
	}
	r->step = STEP_SYNC;
	go(r);
}

static void start_range(struct blk_req *r, enum step step)
{
	r->step = step;
	r->off = r->range[r->at].off;
	r->left = r->range[r->at].len;
	go(r);
}

static void range_done(struct blk_req *r)
{
	enum step first = r->step == STEP_DISCARD ? STEP_DISCARD : STEP_ZERO;

	if (++r->at < r->n_ranges)
		start_range(r, first);
	else
		data_done(r);
}

static void transferred(struct blk_req *r, ssize_t res)
{
	uint64_t n = MIN((uint64_t)res, r->left);

	if (res == 0) {
		failed(r, 0);
		return;
	}
	if (r->bounce && r->step == STEP_READ)
		iov_put(r->iov, r->n_iov, 0, r->bounce, n);
	iov_skip(&r->iov, &r->n_iov, n);
	r->off += n;
	r->left -= n;
	if (r->left > 0)
		go(r);
	else if (r->step == STEP_ZERO_WRITE)
		range_done(r);
	else
		data_done(r);
}

/* The file system can't: a discard is only a hint, zeroes have to be there. */
static void cannot(struct blk_req *r)
{
	if (r->step == STEP_DISCARD) {
		range_done(r);
	} else if (r->range[r->at].unmap) {
		r->range[r->at].unmap = false;
		start_range(r, STEP_ZERO);
	} else {
		start_range(r, STEP_ZERO_WRITE);
	}
}

static bool unsupported(ssize_t res)
{
	/* A block device says EINVAL to what is no whole block of it. */
	return res == -EOPNOTSUPP || res == -ENOSYS || res == -ENODEV || res == -EINVAL;
}

static void io_done(struct iothread_io *io, ssize_t res)
{
	struct blk_req *r = container_of(io, struct blk_req, io);
	bool range = r->step == STEP_DISCARD || r->step == STEP_ZERO;

	if (res == -EINTR || res == -EAGAIN)
		go(r);
	else if (range && unsupported(res))
		cannot(r);
	else if (res < 0)
		failed(r, res);
	else if (r->step == STEP_SYNC)
		finish(r, VIRTIO_BLK_S_OK);
	else if (range)
		range_done(r);
	else
		transferred(r, res);
}

/* ---- what the driver asks for ---------------------------------------------------------------- */

static bool within(const struct virtio_blk *s, uint64_t sector, uint64_t bytes)
{
	uint64_t size = blk_size(s);

	return sector <= size / BLOCKDEV_SECTOR && bytes <= size - sector * BLOCKDEV_SECTOR;
}

static void start_data(struct blk_req *r, bool write, uint64_t sector)
{
	const struct virtio_blk *s = r->q->s;

	r->step = write ? STEP_WRITE : STEP_READ;
	r->iov = r->all + (write ? 0 : r->e.n_out);
	r->n_iov = write ? r->e.n_out : r->e.n_in;
	r->left = write ? r->e.out_len - HEADER : r->e.in_len - 1;
	r->off = sector * BLOCKDEV_SECTOR;
	if (write)
		iov_skip(&r->iov, &r->n_iov, HEADER);
	else if (--r->all[r->e.n_out + r->e.n_in - 1].iov_len == 0)
		r->n_iov--;
	if ((write && s->disk->read_only) || r->left == 0 || r->left % BLOCKDEV_SECTOR != 0 ||
	    !within(s, sector, r->left))
		finish(r, VIRTIO_BLK_S_IOERR);
	else
		go(r);
}

/* VIRTIO 1.2 5.2.6.2: the status these ranges get before anything is done. */
static uint8_t read_ranges(struct blk_req *r, bool zero)
{
	const struct virtio_blk *s = r->q->s;
	uint32_t len = r->e.out_len - HEADER;
	uint8_t raw[RANGE];

	r->n_ranges = len / RANGE;
	if (s->disk->read_only || len == 0 || len % RANGE != 0 || r->n_ranges > BLK_RANGES_MAX)
		return VIRTIO_BLK_S_IOERR;
	for (unsigned int i = 0; i < r->n_ranges; i++) {
		iov_get(r->all, r->e.n_out, HEADER + i * RANGE, raw, sizeof(raw));
		uint64_t sector = get_le64(raw), n = get_le32(raw + 8);
		uint32_t flags = get_le32(raw + 12);

		if (flags & ~(zero ? VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP : 0u))
			return VIRTIO_BLK_S_UNSUPP;
		if (n == 0 || n > BLK_RANGE_SECTORS || !within(s, sector, n * BLOCKDEV_SECTOR))
			return VIRTIO_BLK_S_IOERR;
		r->range[i] = (struct blk_range){ sector * BLOCKDEV_SECTOR, n * BLOCKDEV_SECTOR,
						  flags && s->disk->discard };
	}
	return VIRTIO_BLK_S_OK;
}

static void start_ranges(struct blk_req *r, bool zero)
{
	const struct virtio_blk *s = r->q->s;
	uint8_t status =
		(zero ? s->can_zero : s->can_discard) ? read_ranges(r, zero) : VIRTIO_BLK_S_UNSUPP;

	r->at = 0;
	if (status != VIRTIO_BLK_S_OK)
		finish(r, status);
	else
		start_range(r, zero ? STEP_ZERO : STEP_DISCARD);
}

static void get_id(struct blk_req *r)
{
	const struct virtio_blk *s = r->q->s;
	size_t len = MIN(r->e.in_len - 1, (uint32_t)sizeof(s->serial));

	iov_put(r->all + r->e.n_out, r->e.n_in, 0, s->serial, len);
	finish(r, VIRTIO_BLK_S_OK);
}

static void start_sync(struct blk_req *r)
{
	r->step = STEP_SYNC;
	r->off = 0;
	if (r->q->s->disk->read_only)
		finish(r, VIRTIO_BLK_S_OK);
	else
		go(r);
}

static void start_request(struct blk_req *r)
{
	const struct iovec *last = &r->all[r->e.n_out + r->e.n_in - 1];
	uint8_t header[HEADER];

	iov_get(r->all, r->e.n_out, 0, header, sizeof(header));
	r->status = (uint8_t *)last->iov_base + last->iov_len - 1;
	switch (get_le32(header)) {
	case VIRTIO_BLK_T_IN:
		start_data(r, false, get_le64(header + 8));
		break;
	case VIRTIO_BLK_T_OUT:
		start_data(r, true, get_le64(header + 8));
		break;
	case VIRTIO_BLK_T_FLUSH:
		start_sync(r);
		break;
	case VIRTIO_BLK_T_GET_ID:
		get_id(r);
		break;
	case VIRTIO_BLK_T_DISCARD:
		start_ranges(r, false);
		break;
	case VIRTIO_BLK_T_WRITE_ZEROES:
		start_ranges(r, true);
		break;
	default:
		finish(r, VIRTIO_BLK_S_UNSUPP);
		break;
	}
}

/* ---- queues ---------------------------------------------------------------------------------- */

static struct blk_req *take_req(struct blk_queue *q)
{
	struct blk_req *r;

	if (!list_empty(&q->idle)) {
		r = container_of(q->idle.next, struct blk_req, node);
		list_del(&r->node);
		return r;
	}
	r = malloc(sizeof(*r));
	if (!r)
		return NULL;
	r->q = q;
	r->io.done = io_done;
	r->bounce = NULL;
	q->n_reqs++;
	return r;
}

/* 1: served; 0: nothing to serve; -ENOMEM: not now, but after one that is on its way. */
static int serve_one(struct blk_queue *q)
{
	struct blk_req *r = take_req(q);

	if (!r) {
		if (q->n_reqs > 0)
			return -ENOMEM;
		vq_break(q->vq, "out of memory for a request");
		return 0;
	}
	r->e.iov = r->all;
	r->e.iov_max = SEGS;
	if (vq_pop(q->vq, &r->e) <= 0) {
		give_back(r);
		return 0;
	}
	if (r->e.out_len < HEADER || r->e.in_len < 1) {
		vq_unpop(q->vq, &r->e);
		give_back(r);
		vq_break(q->vq, "a request without header or without room for its status");
		return 0;
	}
	start_request(r);
	return 1;
}

/* At most a ring's worth a turn: a guest can add requests that are answered at once as fast as they
 * are served, and the thread has other things to do. */
static void serve(struct blk_queue *q)
{
	unsigned int left = q->vq->size;
	int n = 0;

	do {
		vq_kick_disable(q->vq);
		while (!q->stopping && left > 0 && (n = serve_one(q)) > 0)
			left--;
	} while (!q->stopping && n == 0 && vq_kick_enable(q->vq));
	iothread_found(q->io, q->vq->size - left);
	q->again = n != 0; /* kicks are off */
	if (n > 0)
		iothread_defer(q->io, &q->flush);
}

static void kicked(struct iothread_fd *src, uint32_t events)
{
	(void)events;
	serve(container_of(src, struct blk_queue, kick));
}

int blk_queue_begin(struct blk_queue *q)
{
	q->stopping = q->again = false;
	q->kick = (struct iothread_fd){
		.fd = q->vq->kick_fd, .events = EPOLLIN, .event = true, .ready = kicked
	};
	return iothread_add_fd(q->io, &q->kick);
}

void blk_queue_stop(struct blk_queue *q)
{
	q->stopping = true;
	iothread_del_fd(&q->kick);
}

/* Memory that a busy time took is given back with the queue. */
void blk_queue_end(struct blk_queue *q)
{
	while (!list_empty(&q->idle)) {
		struct blk_req *r = container_of(q->idle.next, struct blk_req, node);
		list_del(&r->node);
		free(r);
	}
	q->n_reqs = 0;
}

int blk_queues_open(struct virtio_blk *s, struct verr *reterr)
{
	s->q = calloc(s->n_queues, sizeof(*s->q));
	if (!s->q)
		return verr_set(reterr, -ENOMEM, "out of memory for %u queues", s->n_queues);
	for (unsigned int i = 0; i < s->n_queues; i++) {
		s->q[i].s = s;
		s->q[i].flush.run = flush_job;
		list_init(&s->q[i].idle);
	}
	return 0;
}

void blk_queues_close(struct virtio_blk *s)
{
	free(s->q);
	s->q = NULL;
}
