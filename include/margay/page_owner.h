/* SPDX-License-Identifier: BSD-2-Clause */
/* Set-up of the owner table; what everyone else uses of it is in mm.h. */
#ifndef MARGAY_OWNER_H
#define MARGAY_OWNER_H

#include <margay/acpi.h>
#include <margay/boot.h>
#include <margay/mm.h>

/*
 * Before owner_init: pages from the image's own chunk, then from RAM that the map names. Zeroed. Only
 * while the boot page tables or the direct map reach them. early_alloc panics when there is none.
 */
void early_init(const struct boot_info *bi, paddr_t image, u64 image_size);
void early_reserve(paddr_t base, u64 size);	/* not to be handed out: modules, tables in use */
void *early_alloc(u64 size);
void *early_or_alloc_page(void);		/* whichever exists by now; NULL: none */

void owner_init(const struct boot_info *bi, const struct acpi_info *acpi);

extern unsigned nr_nodes;

#endif
