/* SPDX-License-Identifier: BSD-2-Clause */
/* Setup of the owner table. mm.h has the interface for other code. */
#pragma once

#include <margay/acpi.h>
#include <margay/boot.h>
#include <margay/mm.h>

/*
 * Allocates before owner_init(): from the image's own chunk, then from RAM of the memory map.
 * Zeroed. Limited to memory that the boot page tables or the direct map cover. early_alloc() panics
 * when there is none.
 */
void early_init(const struct boot_info *bi, paddr_t image, u64 image_size);
void early_reserve(paddr_t base, u64 size);	/* keeps modules and tables in use */
bool early_claim(paddr_t base, u64 size);   /* reserves RAM that is still free; false: it is not */
void *early_alloc(u64 size);
void *early_or_alloc_page(void);		/* from the allocator in use; NULL: none */

void owner_init(const struct boot_info *bi, const struct acpi_info *acpi);
