// SPDX-License-Identifier: GPL-2.0-or-later
// Writes the boot GDT into guest memory. The accelerator loads the segment registers with what is
// written here (core/accel.h, struct boot_state).
#include "vmm/boot/gdt.h"

#include <stdint.h>

#include "core/bytes.h"
#include "vmm/boot/bootfile.h"
#include "vmm/boot/layout.h"

/* Intel SDM 3 3.4.5: flat, limit 4 GiB, present, accessed. */
#define DESC_CODE64 UINT64_C(0x00af9b000000ffff)
#define DESC_CODE32 UINT64_C(0x00cf9b000000ffff)
#define DESC_DATA   UINT64_C(0x00cf93000000ffff)
#define DESC_TSS    UINT64_C(0x00008b0000000067) /* 32-bit busy TSS at 0 */

int gdt_place(const struct boot_env *e, enum gdt_code code, struct verr *reterr)
{
	uint8_t gdt[6 * 8] = { 0 }; /* in long mode the TSS descriptor takes two entries */

	put_le64(gdt + 0x10, code == GDT_CODE64 ? DESC_CODE64 : DESC_CODE32);
	put_le64(gdt + 0x18, DESC_DATA);
	put_le64(gdt + 0x20, DESC_TSS);
	return boot_place(e, "GDT", PC_BOOT_GDT, gdt, sizeof(gdt), reterr);
}
