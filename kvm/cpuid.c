// SPDX-License-Identifier: GPL-2.0-or-later
//
// CPUID of the guest. KVM says what it can do; this makes that a CPU that exists: one package of
// single-threaded cores, told alike by every leaf that tells it, sizes and widths that add up,
// and nothing that needs state we do not set up. Pure: no ioctl here, no allocation.
// Leaves: Intel SDM 2A CPUID; AMD APM 3 appendix E; KVM's own: Linux virt/kvm/x86/cpuid.rst.
#include "kvm/cpuid.h"

#include <errno.h>
#include <string.h>

enum {
	LEAF1_C_MONITOR = 3,
	LEAF1_C_VMX = 5,
	LEAF1_C_SMX = 6,
	LEAF1_C_X2APIC = 21,
	LEAF1_C_TSC_DEADLINE = 24,
	LEAF1_C_XSAVE = 26,
	LEAF1_C_OSXSAVE = 27,
	LEAF1_C_HYPERVISOR = 31,
	LEAF1_D_APIC = 9,
	LEAF1_D_HTT = 28,
	LEAF7_B_SGX = 2,
	LEAF7_C_SGX_LC = 30,
	EXT1_C_CMP_LEGACY = 1,
	EXT1_C_SVM = 2,
	EXT1_C_TOPOEXT = 22,
	EXT1_C_MONITORX = 29,
};

/* Leaves whose subleaf number counts; for the others any subleaf matches. */
static bool indexed(uint32_t leaf)
{
	switch (leaf) {
	case 0x4:
	case 0x7:
	case 0xb:
	case 0xd:
	case 0xf:
	case 0x10:
	case 0x12:
	case 0x14:
	case 0x17:
	case 0x18:
	case 0x1d:
	case 0x1f:
	case 0x8000001d:
	case 0x80000026:
		return true;
	default:
		return false;
	}
}

struct kvm_cpuid_entry2 *kvm_cpuid_find(struct kvm_cpuid_entry2 *e, unsigned int n, uint32_t leaf,
					uint32_t subleaf)
{
	for (unsigned int i = 0; i < n; i++) {
		if (e[i].function == leaf && (!indexed(leaf) || e[i].index == subleaf))
			return &e[i];
	}
	return NULL;
}

/* The table being edited. */
struct table {
	struct kvm_cpuid_entry2 *e;
	unsigned int n;
	const struct kvm_cpuid_cfg *cfg;
	unsigned int id_bits; /* APIC id bits: ceil(log2(vcpus)) */
	bool amd;
};

static struct kvm_cpuid_entry2 *find(struct table *t, uint32_t leaf, uint32_t subleaf)
{
	return kvm_cpuid_find(t->e, t->n, leaf, subleaf);
}

/* NULL: the table is full. */
static struct kvm_cpuid_entry2 *find_or_add(struct table *t, uint32_t leaf, uint32_t subleaf)
{
	struct kvm_cpuid_entry2 *e = find(t, leaf, subleaf);
	if (e)
		return e;
	if (t->n == KVM_CPUID_MAX)
		return NULL;
	e = &t->e[t->n++];
	*e = (struct kvm_cpuid_entry2){
		.function = leaf,
		.index = subleaf,
		.flags = indexed(leaf) ? KVM_CPUID_FLAG_SIGNIFCANT_INDEX : 0,
	};
	return e;
}

static bool zero(const struct kvm_cpuid_entry2 *e)
{
	return (e->eax | e->ebx | e->ecx | e->edx) == 0;
}

static void drop_leaf(struct table *t, uint32_t leaf)
{
	unsigned int kept = 0;
	for (unsigned int i = 0; i < t->n; i++) {
		if (t->e[i].function != leaf)
			t->e[kept++] = t->e[i];
	}
	t->n = kept;
}

/* An absent leaf reads as zeros, and KVM searches the table at every CPUID instruction. */
static void drop_zero_entries(struct table *t)
{
	unsigned int kept = 0;
	for (unsigned int i = 0; i < t->n; i++) {
		if (!zero(&t->e[i]))
			t->e[kept++] = t->e[i];
	}
	t->n = kept;
}

static void put(uint32_t *reg, unsigned int bit, bool on)
{
	if (on)
		*reg |= BIT32(bit);
	else
		*reg &= ~BIT32(bit);
}

static bool is_amd(struct table *t)
{
	const struct kvm_cpuid_entry2 *e = find(t, 0, 0);
	if (!e)
		return false;
	char v[12];
	memcpy(v, &e->ebx, 4);
	memcpy(v + 4, &e->edx, 4);
	memcpy(v + 8, &e->ecx, 4);
	return memcmp(v, "AuthenticAMD", 12) == 0 || memcmp(v, "HygonGenuine", 12) == 0;
}

unsigned int kvm_cpuid_phys_bits(const struct kvm_cpuid_entry2 *e, unsigned int n)
{
	const struct kvm_cpuid_entry2 *l =
		kvm_cpuid_find((struct kvm_cpuid_entry2 *)e, n, 0x80000008, 0);
	unsigned int bits = l ? l->eax & 0xff : 0;
	if (bits < 32)
		return 36; /* what every 64-bit CPU has */
	/* GuestPhysAddrSize, from Linux 6.10's KVM on. */
	unsigned int guest = (l->eax >> 16) & 0xff;
	bits = MIN(bits, guest ? guest : 48);
	return MIN(bits, 52);
}

static void edit_features(struct table *t)
{
	struct kvm_cpuid_entry2 *e = find(t, 1, 0);
	if (e) {
		/* MWAIT would exit to nobody; VMX and SMX need MSRs locked by firmware; OSXSAVE
		 * mirrors CR4 and KVM keeps it. */
		put(&e->ecx, LEAF1_C_MONITOR, false);
		put(&e->ecx, LEAF1_C_VMX, false);
		put(&e->ecx, LEAF1_C_SMX, false);
		put(&e->ecx, LEAF1_C_OSXSAVE, false);
		put(&e->ecx, LEAF1_C_X2APIC, true);
		put(&e->ecx, LEAF1_C_TSC_DEADLINE, t->cfg->tsc_deadline);
		put(&e->ecx, LEAF1_C_HYPERVISOR, true);
		put(&e->edx, LEAF1_D_APIC, true);
	}
	e = find(t, 7, 0);
	if (e) { /* SGX needs EPC memory from us */
		put(&e->ebx, LEAF7_B_SGX, false);
		put(&e->ecx, LEAF7_C_SGX_LC, false);
	}
	drop_leaf(t, 0x12);
	e = find(t, 0x80000001, 0);
	if (e) {
		put(&e->ecx, EXT1_C_SVM, false);
		put(&e->ecx, EXT1_C_MONITORX, false);
	}
	drop_leaf(t, 0x8000000a); /* SVM */
	drop_leaf(t, 5);	  /* MONITOR/MWAIT */
}

/* Instruction sets and the XSAVE component their registers live in: no component, no such set.
 * KVM offers AMX whether or not the process was granted its component. */
static void edit_xsave_users(struct table *t, uint64_t have)
{
	enum { AVX = 1 << 2, MPX = 3 << 3, AVX512 = 7 << 5, PKU = 1 << 9, AMX = 3 << 17 };
	static const struct {
		uint32_t component, leaf, subleaf, eax, ebx, ecx, edx; /* bits that go */
	} users[] = {
		{ AVX, 1, 0, .ecx = BIT32(12) | BIT32(28) | BIT32(29) },
		{ AVX, 7, 0, .ebx = BIT32(5), .ecx = BIT32(9) | BIT32(10) },
		{ AVX, 7, 1, .eax = BIT32(4) | BIT32(23), .edx = BIT32(4) | BIT32(5) | BIT32(10) },
		{ AVX, 0x80000001, 0, .ecx = BIT32(11) | BIT32(16) /* XOP, FMA4 */ },
		{ MPX, 7, 0, .ebx = BIT32(14) },
		{ AVX512, 7, 0,
		  .ebx = BIT32(16) | BIT32(17) | BIT32(21) | BIT32(26) | BIT32(27) | BIT32(28) |
			 BIT32(30) | BIT32(31),
		  .ecx = BIT32(1) | BIT32(6) | BIT32(11) | BIT32(12) | BIT32(14),
		  .edx = BIT32(2) | BIT32(3) | BIT32(8) | BIT32(23) },
		{ AVX512, 7, 1, .eax = BIT32(5), .edx = BIT32(19) /* AVX10 */ },
		{ PKU, 7, 0, .ecx = BIT32(3) },
		{ AMX, 7, 0, .edx = BIT32(22) | BIT32(24) | BIT32(25) },
		{ AMX, 7, 1, .eax = BIT32(21), .edx = BIT32(8) },
		{ AMX, 0xd, 1, .eax = BIT32(4) /* XFD: only AMX uses it */ },
	};
	for (unsigned int i = 0; i < ARRAY_SIZE(users); i++) {
		struct kvm_cpuid_entry2 *e = find(t, users[i].leaf, users[i].subleaf);
		if (!e || (have & users[i].component) == users[i].component)
			continue;
		e->eax &= ~users[i].eax;
		e->ebx &= ~users[i].ebx;
		e->ecx &= ~users[i].ecx;
		e->edx &= ~users[i].edx;
	}
	if ((have & AMX) != AMX) {
		drop_leaf(t, 0x1d);
		drop_leaf(t, 0x1e);
	}
}

/* 0xd: the save area must hold every component offered; a component without a size, or beside an
 * XSAVE that is off, does not exist. */
static void edit_xsave(struct table *t)
{
	struct kvm_cpuid_entry2 *l1 = find(t, 1, 0), *d0 = find(t, 0xd, 0);
	if (!l1 || !(l1->ecx & BIT32(LEAF1_C_XSAVE)) || !d0) {
		if (l1)
			put(&l1->ecx, LEAF1_C_XSAVE, false);
		drop_leaf(t, 0xd);
		edit_xsave_users(t, 0);
		return;
	}
	uint64_t have = ((uint64_t)d0->edx << 32 | d0->eax) | 3; /* x87 and SSE always */
	uint32_t size = 512 + 64; /* legacy area and header: SDM 1 13.4 */
	for (unsigned int i = 2; i < 63; i++) {
		const struct kvm_cpuid_entry2 *c = find(t, 0xd, i);
		if (!(have & BIT64(i)))
			continue;
		if (!c || c->eax == 0) {
			have &= ~BIT64(i);
			continue;
		}
		size = MAX(size, c->eax + c->ebx);
	}
	d0 = find(t, 0xd, 0);
	d0->eax = (uint32_t)have;
	d0->edx = (uint32_t)(have >> 32);
	d0->ecx = size;
	d0->ebx = 512 + 64; /* what XCR0 enables at power-on: KVM follows it from there */
	/* Components of neither XCR0 nor IA32_XSS go. */
	const struct kvm_cpuid_entry2 *d1 = find(t, 0xd, 1);
	uint64_t xss = d1 ? (uint64_t)d1->edx << 32 | d1->ecx : 0;
	for (unsigned int i = 0; i < t->n; i++) {
		struct kvm_cpuid_entry2 *c = &t->e[i];
		if (c->function == 0xd && c->index >= 2 &&
		    (c->index > 62 || !((have | xss) & BIT64(c->index))))
			c->eax = c->ebx = c->ecx = c->edx = 0;
	}
	edit_xsave_users(t, have);
}

/* How many APIC ids share a cache: the deterministic cache leaves, bits 25:14 of eax. */
static void edit_caches(struct table *t, uint32_t leaf)
{
	uint32_t all = BIT32(t->id_bits) - 1;
	for (unsigned int i = 0; i < t->n; i++) {
		struct kvm_cpuid_entry2 *e = &t->e[i];
		if (e->function != leaf || (e->eax & 0x1f) == 0)
			continue;
		unsigned int level = (e->eax >> 5) & 7;
		uint32_t sharing = level >= 3 ? all : 0;
		e->eax = (e->eax & ~(UINT32_C(0xfff) << 14)) | sharing << 14;
		if (leaf == 4) /* cores in the package, bits 31:26 */
			e->eax = (e->eax & ~(UINT32_C(0x3f) << 26)) | MIN(all, 63) << 26;
	}
}

/* Extended topology: threads within a core, then cores within the package. */
static int edit_ext_topology(struct table *t, uint32_t leaf)
{
	drop_leaf(t, leaf);
	struct kvm_cpuid_entry2 *smt = find_or_add(t, leaf, 0);
	struct kvm_cpuid_entry2 *core = find_or_add(t, leaf, 1);
	if (!smt || !core)
		return -E2BIG;
	smt->ebx = 1;
	smt->ecx = 0 | 1 << 8; /* level 0 is of type SMT */
	core->eax = t->id_bits;
	core->ebx = t->cfg->vcpus;
	core->ecx = 1 | 2 << 8; /* level 1 is of type core */
	return 0;
}

static int edit_topology(struct table *t)
{
	unsigned int n = t->cfg->vcpus;
	struct kvm_cpuid_entry2 *e = find(t, 1, 0);
	if (e) {
		unsigned int ids = t->amd ? n : BIT32(t->id_bits);
		e->ebx = (e->ebx & 0xffff) | MIN(ids, 255) << 16;
		put(&e->edx, LEAF1_D_HTT, n > 1);
	}
	edit_caches(t, 4);
	edit_caches(t, 0x8000001d);

	struct kvm_cpuid_entry2 *l0 = find(t, 0, 0);
	bool v2 = l0 && l0->eax >= 0x1f && !t->amd;
	if (l0 && l0->eax < 0xb)
		l0->eax = 0xb;
	int r = edit_ext_topology(t, 0xb);
	if (r == 0 && v2)
		r = edit_ext_topology(t, 0x1f);
	if (r < 0)
		return r;
	if (!v2)
		drop_leaf(t, 0x1f);
	drop_leaf(t, 0x80000026); /* AMD's larger 0xb: absent is consistent */

	e = find(t, 0x80000001, 0);
	bool topoext = e && t->amd && (e->ecx & BIT32(EXT1_C_TOPOEXT));
	if (e)
		put(&e->ecx, EXT1_C_CMP_LEGACY, t->amd && n > 1);
	drop_leaf(t, 0x8000001e); /* core and node ids: 0 but for the APIC id's own fields */
	if (topoext && !find_or_add(t, 0x8000001e, 0))
		return -E2BIG;
	if (!topoext)
		drop_leaf(t, 0x8000001d);
	return 0;
}

static void edit_widths(struct table *t)
{
	unsigned int phys = kvm_cpuid_phys_bits(t->e, t->n);
	struct kvm_cpuid_entry2 *e = find(t, 0x80000008, 0);
	if (!e)
		return;
	e->eax = (e->eax & 0xff00) | phys; /* GuestPhysAddrSize 0: the same */
	if (t->amd)			   /* NC and ApicIdCoreIdSize */
		e->ecx = (e->ecx & ~UINT32_C(0xf0ff)) | (t->cfg->vcpus - 1) | t->id_bits << 12;
}

int kvm_cpuid_build(struct kvm_cpuid_entry2 *e, unsigned int n, const struct kvm_cpuid_cfg *cfg)
{
	struct table t = { .e = e, .n = n, .cfg = cfg };
	while (BIT32(t.id_bits) < cfg->vcpus)
		t.id_bits++;
	t.amd = is_amd(&t);

	edit_features(&t);
	edit_xsave(&t);
	edit_widths(&t);
	drop_zero_entries(&t);
	int r = edit_topology(&t);
	if (r < 0)
		return r;
	kvm_cpuid_set_apic_id(t.e, t.n, 0);

	/* 0xb, 0x1f and 0x8000001e stay even when they read zero in places: KVM answers for a
	 * subleaf that is absent with the leaf's x2APIC id in edx (SDM). The rest may go. */
	return (int)t.n;
}

void kvm_cpuid_set_apic_id(struct kvm_cpuid_entry2 *e, unsigned int n, uint32_t apic_id)
{
	for (unsigned int i = 0; i < n; i++) {
		switch (e[i].function) {
		case 1:
			e[i].ebx = (e[i].ebx & 0x00ffffff) | (apic_id & 0xff) << 24;
			break;
		case 0xb:
		case 0x1f:
			e[i].edx = apic_id;
			break;
		case 0x8000001e:
			e[i].eax = apic_id;
			e[i].ebx = (e[i].ebx & ~UINT32_C(0xff)) | (apic_id & 0xff);
			break;
		default:
			break;
		}
	}
}
