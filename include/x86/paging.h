/* SPDX-License-Identifier: BSD-2-Clause */
/* Margay's own page tables. arch/x86/mm/paging.c, SDM 3A 4.5. */
#pragma once

#include <margay/lib.h>

#define PTE_P BIT(0)
#define PTE_W BIT(1)
#define PTE_U BIT(2)
#define PTE_PWT BIT(3)
#define PTE_PCD BIT(4)
#define PTE_A BIT(5)
#define PTE_D BIT(6)
#define PTE_PS BIT(7)
#define PTE_G BIT(8)
#define PTE_NX BIT(63)
#define PTE_KEY_SHIFT 59
#define PTE_ADDR 0x000ffffffffff000UL
#define RIGHTS_RX (PTE_P | PTE_A | PTE_G)
#define RIGHTS_RO (PTE_P | PTE_A | PTE_G | PTE_NX)
#define RIGHTS_RW (PTE_P | PTE_A | PTE_D | PTE_G | PTE_W | PTE_NX)

/* Error codes of page faults, SDM 3A 4.7. The first three have the bit positions of P, W and U. */
#define PF_PRESENT 1U
#define PF_WRITE 2U
#define PF_USER 4U
#define PF_RESERVED 8U
#define PF_KEY 32U

struct boot_info;
void paging_init(const struct boot_info *bi);
void paging_load_cpu(void);
void *map_mmio(paddr_t pa, size_t size);
void *map_stack(unsigned pages);		/* returns the top; a guard page is below */
enum stack_area { STACK_NONE, STACK_PAGE, STACK_GUARD } stack_area(u64 va);
/* Map or unmap 4 KiB pages with RIGHTS_*. 0 or -ENOMEM. Unmapping neither frees nor flushes. */
int map_pages(u64 va, paddr_t pa, u64 size, u64 rights);
void unmap_pages(u64 va, u64 size);
/*
 * Makes whole pages of RAM read-only in the direct map, or writable again. 0 or -ENOMEM; no flush.
 */
int protect_direct(paddr_t pa, u64 size, bool readonly);
void paging_end_init(void);			/* frees init memory */
extern paddr_t image_paddr;			/* address of the image's first byte */
