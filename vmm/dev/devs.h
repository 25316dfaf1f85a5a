// SPDX-License-Identifier: GPL-2.0-or-later
// The devices of the PC platform that are not on the PCI bus: their types, their configurations,
// and the numbers that the ACPI tables must agree on. Except for debug-exit none can be named in
// --device: the machine makes them and fills their configuration itself.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "core/cc.h"
#include "core/dev.h"

VV_BEGIN_DECLS

struct chardev;

/* 16550A at 8 ports, on an ISA line. */
struct serial_cfg {
	struct chardev *chr; /* borrowed, outlives the device; its front while realized */
	uint16_t port;	     /* 0x3f8 */
	uint8_t irq;	     /* GSI, 4 */
};
extern const struct dev_type serial_type;

/* MC146818 clock and CMOS memory; no alarm, no periodic interrupt. */
#define RTC_PORT    0x70
#define RTC_PORTS   2
#define RTC_CENTURY 0x32 /* register, BCD */
struct rtc_cfg {
	uint64_t ram_low_size, ram_high_size; /* what the memory size bytes say; see layout.h */
	int64_t (*now_ns)(void); /* wall clock since the epoch; NULL: the host's (UTC) */
};
extern const struct dev_type rtc_type;

/* Keyboard controller without a keyboard: resets the machine and answers probes at once. */
#define I8042_DATA_PORT 0x60
#define I8042_CMD_PORT	0x64
#define I8042_IRQ	1
extern const struct dev_type i8042_type; /* no configuration */

/* ACPI sleep and reset registers, offsets from `port` (ACPI 6.4 4.8.3.7). */
enum {
	ACPI_PM_SLEEP_CONTROL = 0,
	ACPI_PM_SLEEP_STATUS = 1,
	ACPI_PM_RESET = 2,
	ACPI_PM_PORTS = 4,
	ACPI_PM_RESET_VALUE = 1,
	ACPI_PM_SLP_TYP_S5 = 5,
};
struct acpi_pm_cfg {
	uint16_t port;
};
extern const struct dev_type acpi_pm_type;

/* What a PC's kernel pokes at without asking: POST code port, system control ports A and B, and
 * the ports of the interval timer, which is not there. No configuration. */
extern const struct dev_type legacy_type;

/* For tests and tiny guests: a write ends the machine. 0 is a clean power-off, anything else is
 * reported as the guest's failure. */
struct debugexit_cfg {
	uint16_t port;
};
extern const struct dev_type debugexit_type;

VV_END_DECLS
