/* SPDX-License-Identifier: BSD-2-Clause */
/* The parts of the scenario pci_hostile. Each ends with devices that work. */
#ifndef HOSTILE_DEVICE_H
#define HOSTILE_DEVICE_H

#include "guest.h"

#define NVME_ID		0x00101b36u

extern struct edu edu;
extern volatile uint8_t *nvme, *nvme_regs;	/* config space and BAR 0; NULL: none */
#define NVME_BAR_SIZE	0x4000u

/* Gives both devices sane BARs, turns them on, and fails if one does not work. */
void devices_restore(const char *after);

/* Remembers which buses are behind the bridges, and gives these back to them. */
void bridges_init(void);
void bridges_restore(void);

/* Stores size bytes, 1 to 16. The access may fault. */
void access_store(volatile uint8_t *at, unsigned int size, uint64_t val);

void bus_master_orders(void);
void config_everywhere(void);
void bars_everywhere(void);
void dma_everywhere(void);
void dma_to_grants(void);
void dma_to_interrupts(void);
void messages_everywhere(void);
void msix_everywhere(void);
void storm(void);
void faults_for_ever(void);
/* Alone, instead of the others. */
void be_revoked(void);
void die_amid_traffic(void);

#endif
