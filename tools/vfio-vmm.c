// SPDX-License-Identifier: GPL-2.0-or-later
// vfio-vmm: the program. Everything is in vmm/vmm.c.

#include "vmm/vmm.h"

int main(int argc, char **argv)
{
	return vmm_main(argc, argv);
}
