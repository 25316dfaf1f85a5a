// SPDX-License-Identifier: GPL-2.0-or-later
// The host's PCI functions as sysfs tells them, through the system-call seam and under a root
// prefix, so that captured machines and the fake kernel work alike. The one place that knows
// libpci (names) and libudev (events).
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "core/cc.h"
#include "core/verr.h"
#include "pci/bdf.h"

VV_BEGIN_DECLS

#define HOSTPCI_NO_GROUP UINT32_MAX

struct hostpci_dev {
	struct bdf at;
	uint16_t vendor, device, subvendor, subdevice;
	uint32_t class_code; /* 24 bits */
	uint8_t revision;
	uint8_t header_type;	  /* 0 endpoint, 1 bridge, 2 CardBus; as sysfs tells, not config */
	char driver[64];	  /* "" unbound */
	char driver_override[64]; /* "" none */
	uint32_t group;		  /* HOSTPCI_NO_GROUP */
	int numa_node;		  /* -1 none */
	char reset_method[64];	  /* "flr bus"; "" none or unknown */
	bool is_vf;
	bool boot_vga;
	char power_state[16]; /* "D0", "D3cold", "unknown" */
	bool has_parent;      /* there is a bridge above: */
	struct bdf parent;
};

/* Prefix of every path ("" for the live machine); "/tmp/capture" for a captured tree. */
void hostpci_set_root(const char *root);
const char *hostpci_root(void);
/* root + formatted path into buf; returns buf. Truncation gives "" (which opens nothing). */
char *hostpci_path(char *buf, size_t size, const char *fmt, ...) ATTR_PRINTF(3, 4);

/* -ENODEV: no such function (the sentence suggests near ones). */
int hostpci_read(const struct bdf *at, struct hostpci_dev *ret, struct verr *reterr);
/* All functions, sorted by address; *ret is malloc'ed. Returns the number. */
int hostpci_list(struct hostpci_dev **ret, struct verr *reterr);
/* Members of an IOMMU group, sorted; *ret malloc'ed. Returns the number, -ENOENT. */
int hostpci_group(uint32_t group, struct hostpci_dev **ret, struct verr *reterr);
/* Would reading the function's configuration space resume it, or a bridge above it? Then the
 * phrase why ("it is in D3cold"). */
bool hostpci_asleep(const struct hostpci_dev *d, char *why, size_t size);
/* Reads up to `len` bytes of configuration space from its start, without waking anything: returns
 * how many there were (64 where only root sees more), -EHOSTDOWN if it sleeps, -errno. */
int hostpci_config(const struct hostpci_dev *d, void *buf, size_t len);
/* Live vendor id out of `config`: 0xffff when the function does not answer; -errno. */
int hostpci_vendor_now(const struct bdf *at);

/* libpci's database, below the root prefix. */
#define HOSTPCI_NAMES "/usr/share/misc/pci.ids"

/* "Intel Corporation 82574L Gigabit Network Connection" from libpci's database, which is loaded at
 * the first call: HOSTPCI_NAMES under the root prefix if it is there, else this machine's. Returns
 * buf. */
char *hostpci_name(const struct hostpci_dev *d, char *buf, size_t size);
/* Names come from this file instead; before the first is asked for. */
void hostpci_set_names(const char *path);
/* "Ethernet controller" */
char *hostpci_class_name(uint32_t class_code, char *buf, size_t size);

VV_END_DECLS
