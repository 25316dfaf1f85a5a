// SPDX-License-Identifier: GPL-2.0-or-later
//
// Names of vendors, devices and classes out of libpci's database: the one file that includes
// libpci. The database is loaded at the first name asked for and kept until the process ends.
// Not thread safe, as libpci is not: callers are the tools and set-up, both single-threaded.
#include "pci/hostpci.h"

#include <pci/pci.h>
#include <setjmp.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/sys.h"

static jmp_buf out_of_memory;
static char names_path[512];

void hostpci_set_names(const char *path)
{
	snprintf(names_path, sizeof(names_path), "%s", path);
}

/* libpci wants this never to return; it calls it only when memory has run out. */
static void __attribute__((noreturn, format(printf, 1, 2))) names_fatal(char *msg, ...)
{
	(void)msg;
	longjmp(out_of_memory, 1);
}

static void __attribute__((format(printf, 1, 2))) names_quiet(char *msg, ...)
{
	(void)msg;
}

/* A captured machine may bring its own names. libpci owns the copy of the path. */
static void use_captured_names(struct pci_access *access)
{
	char path[512];
	if (names_path[0])
		snprintf(path, sizeof(path), "%s", names_path);
	else if (hostpci_root()[0] == '\0')
		return;
	else
		hostpci_path(path, sizeof(path), HOSTPCI_NAMES);
	char *copy = names_path[0] || sys->access(path, R_OK) == 0 ? strdup(path) : NULL;
	if (copy)
		pci_set_name_list_path(access, copy, 1);
}

/* No pci_init(): that would look for ways to reach the hardware, which names do not need. */
static struct pci_access *names(void)
{
	static struct pci_access *access;
	if (!access) {
		access = pci_alloc();
		access->error = names_fatal;
		access->warning = names_quiet;
		access->debug = names_quiet;
		/* udev's copy of the names is slower, and libpci leaks what it opens for it. */
		pci_set_param(access, (char *)"hwdb.disable", (char *)"1");
		use_captured_names(access);
	}
	return access;
}

/* "" when memory runs out. */
static char *lookup(char *buf, size_t size, int flags, int id1, int id2)
{
	if (size == 0)
		return buf;
	buf[0] = '\0';
	if (setjmp(out_of_memory))
		return buf;
	char text[256];
	const char *s = pci_lookup_name(names(), text, sizeof(text), flags, id1, id2);
	if (s)
		snprintf(buf, size, "%s", s);
	return buf;
}

char *hostpci_name(const struct hostpci_dev *d, char *buf, size_t size)
{
	return lookup(buf, size, PCI_LOOKUP_VENDOR | PCI_LOOKUP_DEVICE, d->vendor, d->device);
}

char *hostpci_class_name(uint32_t class_code, char *buf, size_t size)
{
	return lookup(buf, size, PCI_LOOKUP_CLASS, (int)(class_code >> 8), 0);
}
