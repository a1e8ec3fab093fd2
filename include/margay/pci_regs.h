/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Registers of PCI config space that Margay reads or writes. PCI 3.0, chapter 6; PCI Express Base
 * 4.0, chapters 6, 7 and 9; PCI Bus Power Management 1.2; Advanced Capabilities (AF) ECN.
 */
#pragma once

#include <margay/lib.h>

#define PCI_CONFIG_SIZE 4096U
#define PCI_BASIC_SIZE 256U	/* of config space without PCI Express */

#define PCI_VENDOR 0x00
#define PCI_DEVICE 0x02
#define PCI_COMMAND 0x04
#define PCI_COMMAND_IO BIT(0)
#define PCI_COMMAND_MEM BIT(1)
#define PCI_COMMAND_MASTER BIT(2)
#define PCI_COMMAND_PARITY BIT(6)
#define PCI_COMMAND_SERR BIT(8)
#define PCI_COMMAND_NO_INTX BIT(10)
#define PCI_STATUS 0x06
#define PCI_STATUS_CAPS BIT(4)
#define PCI_CLASS 0x08		/* revision in bits 7:0 */
#define PCI_CACHE_LINE 0x0c
#define PCI_LATENCY 0x0d
#define PCI_HEADER 0x0e		/* bit 7: several functions */
#define PCI_HEADER_TYPE 0x7f
#define PCI_HEADER_MULTI 0x80
#define PCI_BAR0 0x10
#define PCI_BAR_IO BIT(0)
#define PCI_BAR_64 BIT(2)	/* type in bits 2:1 */
#define PCI_BAR_PREFETCH BIT(3)
#define PCI_BUSES 0x18		/* of a bridge: primary, secondary, subordinate */
#define PCI_SECONDARY 0x19
#define PCI_SUBORDINATE 0x1a
#define PCI_MEMORY_WINDOW 0x20	/* of a bridge: base, limit */
#define PCI_PREFETCH_WINDOW 0x24 /* the same; upper halves follow */
#define PCI_WINDOW_64 0x10001U
#define PCI_SUBSYSTEM 0x2c
#define PCI_ROM 0x30
#define PCI_ROM_BRIDGE 0x38
#define PCI_ROM_ENABLE BIT(0)
#define PCI_ROM_BASE 0xfffff800U
#define PCI_CAPS 0x34
#define PCI_CAPS_FIRST 0x40
#define PCI_INT_LINE 0x3c
#define PCI_BRIDGE_CONTROL 0x3e
#define PCI_BRIDGE_RESET BIT(6)

#define PCI_CAP_PM 0x01
#define PCI_CAP_MSI 0x05
#define PCI_CAP_EXPRESS 0x10
#define PCI_CAP_MSIX 0x11
#define PCI_CAP_AF 0x13

#define PCI_PM_CONTROL 4
#define PCI_PM_STATE 3U		/* 0: D0, 3: D3hot */
#define PCI_PM_NO_SOFT_RESET BIT(3)

#define PCI_MSI_CONTROL 2
#define PCI_MSI_ENABLE BIT(0)
#define PCI_MSI_CAPABLE_SHIFT 1	/* log2 of the number of vectors, 3 bits */
#define PCI_MSI_ENABLED_SHIFT 4
#define PCI_MSI_64 BIT(7)
#define PCI_MSI_MASKING BIT(8)

#define PCI_MSIX_CONTROL 2
#define PCI_MSIX_SIZE 0x7ffU	/* minus one */
#define PCI_MSIX_MASK_ALL BIT(14)
#define PCI_MSIX_ENABLE BIT(15)
#define PCI_MSIX_TABLE 4	/* BAR in bits 2:0 */
#define PCI_MSIX_PBA 8
#define PCI_MSIX_BAR 7U
#define PCI_MSIX_ENTRY 16U	/* bytes: address, data, control with the mask in bit 0 */

#define PCI_EXP_FLAGS 2		/* version in bits 3:0, type in 7:4 */
#define PCI_EXP_TYPE_ROOT_PORT 4
#define PCI_EXP_TYPE_UPSTREAM 5
#define PCI_EXP_TYPE_DOWNSTREAM 6
#define PCI_EXP_TYPE_TO_PCI 7	/* a bridge to conventional PCI */
#define PCI_EXP_TYPE_NONE 0xff
#define PCI_EXP_DEVCAP 4
#define PCI_EXP_DEVCAP_FLR BIT(28)
#define PCI_EXP_DEVCTL 8
#define PCI_EXP_DEVCTL_FLR BIT(15)
#define PCI_EXP_DEVSTA 10
#define PCI_EXP_DEVSTA_PENDING BIT(5)
#define PCI_EXP_LINK 16		/* control and status; capabilities before */
#define PCI_EXP_LINK_REPORTS BIT(20)	/* capability: whether it is active */
#define PCI_EXP_LINK_ACTIVE BIT(13)	/* status */
#define PCI_EXP_SLOT 24		/* the same of the slot */
#define PCI_EXP_SLOT_PORT 0x142U	/* flags of a root port with a slot */
#define PCI_EXP_ROOT 28
#define PCI_EXP_DEVCTL2 0x28

/* Slot control. Bits 4:0 and 12 enable the events of bits 4:0 and 8 of slot status. */
#define SLOT_INTERRUPT 0x20U
#define SLOT_POWER 0x300U		/* indicator */
#define SLOT_POWER_ON 0x100U
#define SLOT_POWER_OFF 0x300U
#define SLOT_LINK_ENABLE 0x1000U
#define SLOT_BUTTON 0x1U		/* status: pressed */
#define SLOT_PRESENT_CHANGED 0x8U
#define SLOT_LINK_CHANGED 0x100U
#define SLOT_EVENTS 0x11fU
#define SLOT_PRESENT 0x40U
#define SLOT_NUMBER_SHIFT 19		/* slot capabilities */

#define PCI_AF_CAP 3
#define PCI_AF_CAP_FLR 3U	/* FLR and transactions pending, both */
#define PCI_AF_CONTROL 4
#define PCI_AF_STATUS 5

#define PCI_EXT_FIRST 0x100
#define PCI_EXT_ACS 0x0d
#define PCI_ACS_CAP 4
#define PCI_ACS_CONTROL 6
#define PCI_ACS_WANTED 0x1dU	/* source validation, request and completion redirect, forwarding */

#define PCI_EXT_SRIOV 0x10
#define PCI_SRIOV_CONTROL 0x08
#define PCI_SRIOV_VFE BIT(0)	/* virtual functions exist */
#define PCI_SRIOV_MSE BIT(3)	/* their memory is decoded */
#define PCI_SRIOV_ARI BIT(4)
#define PCI_SRIOV_TOTAL 0x0e
#define PCI_SRIOV_NUM 0x10
#define PCI_SRIOV_OFFSET 0x14	/* of the first one's id from the physical function's */
#define PCI_SRIOV_STRIDE 0x16
#define PCI_SRIOV_DEVICE 0x1a
#define PCI_SRIOV_PAGE_SIZE 0x20
#define PCI_SRIOV_4K 1U
#define PCI_SRIOV_BAR0 0x24
#define PCI_SRIOV_SIZE 0x40U

#define PCI_CLASS_DISPLAY 0x03		/* base classes */
#define PCI_CLASS_BRIDGE 0x06
#define PCI_CLASS_SERIAL 0x0700
#define PCI_CLASS_USB 0x0c03
