// SPDX-License-Identifier: GPL-2.0-or-later
// A healthy machine for preflight's tests, and ways to look at the verdicts on it. Included by one
// test each, which makes something wrong and expects exactly that to be said.
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "core/sys.h"
#include "tests/unit/vfio/tree.h"
#include "vfio/preflight.h"
#include "vmm/machine_preflight.h"

/* 16 MiB prefetchable 64-bit, 32 KiB, ports */
#define NIC_BARS                                                                                   \
	"0x00000000c0000000 0x00000000c0ffffff 0x000000000014220c\n"                               \
	"0x0000000000000000 0x0000000000000000 0x0000000000000000\n"                               \
	"0x00000000fe000000 0x00000000fe007fff 0x0000000000040200\n"                               \
	"0x000000000000e000 0x000000000000e01f 0x0000000000040101\n"                               \
	"0x0000000000000000 0x0000000000000000 0x0000000000000000\n"                               \
	"0x0000000000000000 0x0000000000000000 0x0000000000000000\n"

#define NIC "0000:03:00.0"

/* Root may open everything: permission errors come from here. */
static const char *denied;
static struct sys_ops ops;
static bool may_wake, hugepages;

static bool is_denied(const char *path)
{
	return denied && strcmp(path + strlen(tree_root), denied) == 0;
}

static int deny_access(const char *path, int mode)
{
	return is_denied(path) && mode != F_OK ? -EACCES : sys_linux.access(path, mode);
}

static int deny_open(const char *path, int flags, mode_t mode)
{
	return is_denied(path) ? -EACCES : sys_linux.open(path, flags, mode);
}

/* A machine with everything as it should be and the NIC bound to vfio-pci. */
ATTR_UNUSED static int begin(void **state)
{
	(void)state;
	tree_begin();
	denied = NULL;
	may_wake = true;
	hugepages = false;
	ops = sys_linux;
	ops.access = deny_access;
	ops.open = deny_open;
	sys = &ops;
	tree_add_nic("vfio-pci");
	tree_file("/dev/kvm", "");
	tree_file("/dev/vfio/vfio", "");
	tree_file("/dev/vfio/14", "");
	tree_dir("/sys/class/iommu/dmar0");
	tree_file("/sys/module/vfio_iommu_type1/parameters/dma_entry_limit", "65535\n");
	tree_file("/sys/module/vfio_iommu_type1/parameters/allow_unsafe_interrupts", "N\n");
	tree_file("/proc/interrupts", "  9:   0  IR-IO-APIC   9-fasteoi   acpi\n");
	tree_file("/proc/cpuinfo", "address sizes\t: 46 bits physical, 48 bits virtual\n");
	tree_file("/proc/cmdline", "root=/dev/vda quiet\n");
	tree_file("/proc/self/limits",
		  "Limit                     Soft Limit           Hard Limit           Units\n"
		  "Max locked memory         8388608              8388608              bytes\n");
	tree_file("/proc/self/status",
		  "Name:\tx\nVmLck:\t       0 kB\nCapEff:\t0000000000000000\n");
	return 0;
}

ATTR_UNUSED static int end(void **state)
{
	(void)state;
	sys = &sys_linux;
	tree_end();
	return 0;
}

ATTR_UNUSED static struct preflight run_many(const struct bdf *b, unsigned int n, uint64_t ram)
{
	struct preflight p;
	struct preflight_request req = { .bdfs = b,
					 .n_bdfs = n,
					 .ram_bytes = ram,
					 .need_kvm = true,
					 .hugepages = hugepages,
					 .peers = true,
					 .solve = pc_map_preflight,
					 .may_wake = may_wake };
	assert_int_equal(preflight_run(&req, &p), 0);
	return p;
}

ATTR_UNUSED static struct preflight run(void)
{
	struct bdf b = tree_bdf(NIC);
	return run_many(&b, 1, MIB(4));
}

/* Exactly one verdict is worse than ok: this one. Frees. */
ATTR_UNUSED static void expect_only(struct preflight p, enum verdict_level level, const char *check,
				    const char *text, const char *fix)
{
	const struct verdict *found = NULL;
	for (unsigned int i = 0; i < p.n; i++) {
		if (p.v[i].level < level && p.v[i].level <= VERDICT_UNKNOWN)
			continue;
		if (found)
			fail_msg("also: %s: %s", p.v[i].check, p.v[i].text);
		found = &p.v[i];
	}
	assert_non_null(found);
	assert_int_equal(found->level, level);
	assert_string_equal(found->check, check);
	assert_string_equal(found->text, text);
	assert_string_equal(found->fix, fix);
	assert_int_equal(preflight_worst(&p), level);
	preflight_fini(&p);
}

static const struct verdict *find(const struct preflight *p, const char *check)
{
	for (unsigned int i = 0; i < p->n; i++) {
		if (strcmp(p->v[i].check, check) == 0)
			return &p->v[i];
	}
	fail_msg("no verdict %s", check);
	return NULL;
}

/* That verdict, whatever the others say. Frees. */
ATTR_UNUSED static void expect_one(struct preflight p, enum verdict_level level, const char *check,
				   const char *text)
{
	const struct verdict *v = find(&p, check);
	assert_string_equal(v->text, text);
	assert_int_equal(v->level, level);
	preflight_fini(&p);
}
