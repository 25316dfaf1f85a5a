// SPDX-License-Identifier: GPL-2.0-or-later
// A hostile guest at the MSI-X state machine: any table size, any order of table, PBA and control
// accesses. What the sink was told has to be what table and control say after every step.
//
// Input: one byte of vectors, then steps of 12 bytes: what, size, offset (2), value (8).
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <linux/pci_regs.h>

#include "core/bytes.h"
#include "pci/msix.h"
#include "pci/pcicfg.h"
#include "tests/fuzz/fuzz.h"

#define STEP	12
#define MAX_VEC 256

struct sink {
	bool in_batch, on;
	bool live[MAX_VEC];
	struct msi_msg msg[MAX_VEC];
	uint64_t pending[MAX_VEC / 64];
};

static void begin(void *o)
{
	struct sink *s = o;
	CHECK(!s->in_batch);
	s->in_batch = true;
}

static void vector(void *o, unsigned int vec, const struct msi_msg *msg, bool live)
{
	struct sink *s = o;
	CHECK(s->in_batch && s->on && vec < MAX_VEC);
	s->live[vec] = live;
	s->msg[vec] = *msg;
}

static void end(void *o)
{
	struct sink *s = o;
	CHECK(s->in_batch);
	s->in_batch = false;
}

static void enable(void *o, bool on, unsigned int n)
{
	struct sink *s = o;
	CHECK(s->in_batch && s->on != on && n <= MAX_VEC);
	s->on = on;
}

static bool pending(void *o, unsigned int vec)
{
	struct sink *s = o;
	CHECK(vec < MAX_VEC && !s->live[vec]);
	return (s->pending[vec / 64] >> vec % 64 & 1) != 0;
}

static const struct msi_sink sink_ops = { begin, vector, end, enable, pending };

static void step(struct msix *m, struct sink *s, const uint8_t *d)
{
	static const unsigned int sizes[] = { 1, 2, 4, 8 };
	unsigned int size = sizes[d[1] & 3];
	uint64_t off = get_le16(d + 2), val = get_le64(d + 4);
	switch (d[0] % 6) {
	case 0:
		msix_table_write(m, off, val, size);
		break;
	case 1:
		CHECK((msix_table_read(m, off, size) & ~ones(size)) == 0);
		break;
	case 2:
		CHECK((msix_pba_read(m, off, size) & ~ones(size)) == 0);
		break;
	case 3: {
		unsigned int n = MIN(size, 4U), at = m->off + ((unsigned int)off % 12 & ~(n - 1));
		pcicfg_write(m->cfg, NULL, NULL, at, (uint32_t)val, n);
		msix_cfg_written(m, at, n);
		break;
	}
	case 4:
		s->pending[off % (MAX_VEC / 64)] = val;
		break;
	default:
		if (off % 16 == 0)
			msix_reset(m);
		else /* the common case: a whole entry */
			msix_table_write(m, off * 8 % MSIX_TABLE_SIZE(m->n), val, 8);
	}
}

static void check(struct msix *m, const struct sink *s)
{
	uint64_t flags = pcicfg_get(m->cfg, m->off + PCI_MSIX_FLAGS, 2);
	bool on = (flags & PCI_MSIX_FLAGS_ENABLE) != 0;
	CHECK(!s->in_batch && s->on == on && (flags & PCI_MSIX_FLAGS_QSIZE) == m->n - 1U);
	for (unsigned int v = 0; v < m->n; v++) {
		uint64_t ctl = msix_table_read(m, v * 16 + 12, 4);
		bool live = on && (flags & PCI_MSIX_FLAGS_MASKALL) == 0 && (ctl & 1) == 0;
		CHECK(ctl <= 1 && s->live[v] == live);
		if (live)
			CHECK(s->msg[v].addr == (msix_table_read(m, v * 16, 8) & ~UINT64_C(3)) &&
			      s->msg[v].data == msix_table_read(m, v * 16 + 8, 4));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct pcicfg cfg;
	struct sink s;
	struct msix m;
	if (size < 1)
		return 0;
	memset(&s, 0, sizeof(s));
	memset(&m, 0, sizeof(m));
	pcicfg_init(&cfg, 256);
	CHECK(msix_init(&m, &cfg, 0, data[0] + 1U, 0, 0, 0, 0x10000, &sink_ops, &s, NULL) == 0);
	for (size_t at = 1; at + STEP <= size; at += STEP) {
		step(&m, &s, data + at);
		check(&m, &s);
	}
	msix_reset(&m);
	check(&m, &s);
	msix_fini(&m);
	return 0;
}
