// SPDX-License-Identifier: GPL-2.0-or-later
// virtio-balloon: its queues, in the I/O thread. Pages that the guest lets go of are given back to
// the host; they come again, zeroed, when the guest touches them. Only what is wholly RAM is ever
// given back, and nothing while RAM is pinned.
#define LOG_TAG "virtio/balloon"
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <time.h>

#include "core/bytes.h"
#include "core/log.h"
#include "core/sys.h"
#include "vmm/virtio/virtio_balloon_int.h"

#define PAGE	     4096u
#define TURN_BUFFERS 64
#define TURN_BYTES   65536u /* of page frame numbers: a reset waits no longer than for these */
#define PFNS_MAX     16384u /* a buffer; Linux has 256 */
#define STAT_LEN     10	    /* struct virtio_balloon_stat: tag, value */
#define STATS_MAX    256u   /* a buffer */

uint64_t bal_now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

/* ---- pages ----------------------------------------------------------------------------------- */

static void give_back(struct virtio_balloon *s, const struct gmem_snap_region *r, uint64_t off,
		      uint64_t len)
{
	if (s->held || r->keep)
		return;
	/* A memory file keeps what is only unmapped. */
	int rc = sys->madvise(r->hva + off, len, r->fd >= 0 ? MADV_REMOVE : MADV_DONTNEED);
	if (rc < 0)
		log_debug("%s: %" PRIu64 " bytes can't be given back: %s", s->vd.pd.dev.id, len,
			  strerror(-rc));
}

/* Page frames from `first` on. */
static void give_frames(struct virtio_balloon *s, uint64_t first, uint64_t n)
{
	uint64_t gpa = first * PAGE, len = n * PAGE;
	const struct gmem_snap *mem = s->vd.mem;

	for (unsigned int i = 0; i < mem->n; i++) {
		const struct gmem_snap_region *r = &mem->r[i];
		uint64_t from = MAX(gpa, r->gpa), to = MIN(gpa + len, r->gpa + r->size);

		if (from >= to)
			continue;
		give_back(s, r, from - r->gpa, to - from);
		n -= (to - from) / PAGE;
	}
	if (n > 0)
		guest_warn("%s: of page frames %#" PRIx64 "-%#" PRIx64 ", %" PRIu64 " are no RAM",
			   s->vd.pd.dev.id, first, first + len / PAGE - 1, n);
}

/* Neighbours, up or down, go in one call. */
static void inflate(struct virtio_balloon *s, const struct vq_elem *e)
{
	uint64_t first = 0, n = 0;
	uint8_t chunk[1024];
	size_t got;

	for (size_t off = 0; (got = iov_get(e->iov, e->n_out, off, chunk, sizeof(chunk))) >= 4;
	     off += got) {
		for (size_t i = 0; i + 4 <= got; i += 4) {
			uint64_t pfn = get_le32(chunk + i);

			if (n > 0 && pfn == first + n) {
				n++;
			} else if (n > 0 && pfn + 1 == first) {
				first--;
				n++;
			} else {
				if (n > 0)
					give_frames(s, first, n);
				first = pfn;
				n = 1;
			}
		}
	}
	if (n > 0)
		give_frames(s, first, n);
}

/* Segments that the driver would have us write: free pages. */
static void report(struct virtio_balloon *s, const struct vq_elem *e)
{
	const struct gmem_snap *mem = s->vd.mem;

	for (unsigned int i = e->n_out; i < e->n_out + e->n_in; i++) {
		const uint8_t *p = e->iov[i].iov_base;

		for (unsigned int k = 0; k < mem->n; k++) {
			const struct gmem_snap_region *r = &mem->r[k];

			if (p < r->hva || p >= r->hva + r->size)
				continue;
			uint64_t from = ALIGN_UP((uint64_t)(p - r->hva), (uint64_t)PAGE);
			uint64_t to = ALIGN_DOWN((uint64_t)(p - r->hva) + e->iov[i].iov_len,
						 (uint64_t)PAGE);
			if (from < to)
				give_back(s, r, from, to - from);
		}
	}
}

/* ---- statistics ------------------------------------------------------------------------------ */

static void read_stats(struct virtio_balloon *s, const struct vq_elem *e)
{
	uint8_t rec[STAT_LEN];

	memset(s->known, 0, sizeof(s->known));
	for (unsigned int i = 0; i < STATS_MAX; i++) {
		if (iov_get(e->iov, e->n_out, (size_t)i * STAT_LEN, rec, STAT_LEN) < STAT_LEN)
			break;
		unsigned int tag = get_le16(rec);

		if (tag >= BALLOON_STATS)
			continue; /* newer than we are */
		s->known[tag] = true;
		s->stat[tag] = get_le64(rec + 2);
	}
	s->stats_at = bal_now_ms();
}

/* The driver gives a buffer with what it knows; it is given back to ask for more. */
void bal_ask_stats(struct virtio_balloon *s)
{
	struct vq *q = &s->vd.vq[BAL_STATS];

	if (!s->have_stats)
		return;
	s->have_stats = false;
	vq_push(q, &s->stats, 0);
	vq_flush(q);
}

static void take_stats(struct virtio_balloon *s, const struct vq_elem *e)
{
	bal_ask_stats(s); /* there is one buffer; were there two, the older goes back */
	read_stats(s, e);
	s->stats = *e;
	s->have_stats = true;
}

/* ---- queues ---------------------------------------------------------------------------------- */

/* Returns false if the buffer broke the queue. */
static bool serve_one(struct bal_queue *b, struct vq *q, struct vq_elem *e)
{
	struct virtio_balloon *s = b->s;

	switch (b->index) {
	case BAL_INFLATE:
		if (e->out_len > PFNS_MAX * 4) {
			vq_unpop(q, e);
			vq_break(q, "more page frames in a buffer than any driver has");
			return false;
		}
		inflate(s, e);
		break;
	case BAL_DEFLATE: /* they come again when they are touched */
		break;
	case BAL_STATS:
		take_stats(s, e);
		return true;
	default:
		report(s, e);
		break;
	}
	vq_push(q, e, 0);
	return true;
}

static void kicked(struct iothread_fd *src, uint32_t events)
{
	struct bal_queue *b = container_of(src, struct bal_queue, kick);
	struct vq *q = &b->s->vd.vq[b->index];
	uint64_t bytes = 0;
	struct vq_elem e;

	(void)events;
	vq_kick_disable(q);
	for (unsigned int n = 0; n < TURN_BUFFERS && bytes < TURN_BYTES; n++) {
		e.iov = b->s->iov;
		e.iov_max = ARRAY_SIZE(b->s->iov);
		int r = vq_pop(q, &e);
		if (r == 0 && vq_kick_enable(q))
			r = vq_pop(q, &e);
		if (r < 0 || (r > 0 && !serve_one(b, q, &e)))
			return;
		if (r == 0) {
			vq_flush(q);
			return;
		}
		bytes += e.out_len;
		vq_flush(q);
	}
	sys_event_signal(q->kick_fd); /* the rest with the next turn */
}

int bal_begin(struct virtio_balloon *s)
{
	int r = 0;

	for (unsigned int i = 0; i < s->vd.n_queues && r == 0; i++) {
		if (!s->vd.vq[i].ops) /* the driver left it out */
			continue;
		s->q[i] = (struct bal_queue){
			.kick = { .fd = s->vd.vq[i].kick_fd,
				  .events = EPOLLIN,
				  .event = true,
				  .ready = kicked },
			.s = s,
			.index = i,
		};
		r = iothread_add_fd(s->io, &s->q[i].kick);
	}
	return r;
}

void bal_end(struct virtio_balloon *s)
{
	for (unsigned int i = 0; i < s->vd.n_queues; i++)
		iothread_del_fd(&s->q[i].kick);
	if (s->have_stats)
		vq_unpop(&s->vd.vq[BAL_STATS], &s->stats);
	s->have_stats = false;
}
