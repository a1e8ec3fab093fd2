/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Registers of PCI config space that Margay reads or writes. PCI 3.0, chapter 6; PCI Express Base
 * 4.0, chapters 6, 7 and 9; PCI Bus Power Management 1.2.
 */
#pragma once

#include <margay/lib.h>

#define PCI_BASIC_SIZE 256U	/* of config space without PCI Express */

enum { PCI_VENDOR = 0x00, PCI_DEVICE = 0x02, PCI_COMMAND = 0x04, PCI_STATUS = 0x06 };
enum { PCI_CLASS = 0x08 /* revision in bits 7:0 */, PCI_CACHE_LINE = 0x0c, PCI_HEADER = 0x0e };
enum {
	PCI_BAR0 = 0x10,
	PCI_ROM = 0x30,
	PCI_CAPS = 0x34,
	PCI_INT_LINE = 0x3c,
	PCI_CAPS_FIRST = 0x40
};
#define PCI_COMMAND_IO BIT(0)
#define PCI_COMMAND_MEM BIT(1)
#define PCI_COMMAND_MASTER BIT(2)
#define PCI_COMMAND_PARITY BIT(6)
#define PCI_COMMAND_SERR BIT(8)
#define PCI_COMMAND_NO_INTX BIT(10)
#define PCI_STATUS_CAPS BIT(4)
#define PCI_HEADER_TYPE 0x7f
#define PCI_HEADER_MULTI 0x80	/* several functions */
#define PCI_BAR_IO BIT(0)
#define PCI_BAR_64 BIT(2)	/* type in bits 2:1 */
#define PCI_BAR_PREFETCH BIT(3)
#define PCI_ROM_ENABLE BIT(0)
#define PCI_ROM_BASE 0xfffff800U
/* Base classes, and classes with a subclass */
enum {
	PCI_CLASS_DISPLAY = 3,
	PCI_CLASS_BRIDGE = 6,
	PCI_CLASS_SERIAL = 0x0700,
	PCI_CLASS_USB = 0x0c03
};

/* Of a bridge: primary, secondary, subordinate bus; windows' base and limit, upper halves behind. */
enum { PCI_BUSES = 0x18, PCI_SECONDARY = 0x19, PCI_SUBORDINATE = 0x1a };
enum { PCI_MEMORY_WINDOW = 0x20, PCI_PREFETCH_WINDOW = 0x24, PCI_BRIDGE_CONTROL = 0x3e };
#define PCI_WINDOW_64 0x10001U
#define PCI_BRIDGE_RESET BIT(6)

enum { PCI_CAP_PM = 0x01, PCI_CAP_MSI = 0x05, PCI_CAP_EXPRESS = 0x10, PCI_CAP_MSIX = 0x11 };
enum { PCI_PM_CONTROL = 4, PCI_MSI_CONTROL = 2, PCI_MSIX_CONTROL = 2, PCI_MSIX_TABLE = 4 };
#define PCI_PM_STATE 3U		/* 0: D0, 3: D3hot */
#define PCI_PM_NO_SOFT_RESET BIT(3)
#define PCI_MSI_ENABLE BIT(0)
#define PCI_MSI_MULTIPLE 0x7eU	/* messages: capable, enabled */
#define PCI_MSI_64 BIT(7)
#define PCI_MSI_MASKING BIT(8)
#define PCI_MSIX_SIZE 0x7ffU	/* minus one */
#define PCI_MSIX_MASK_ALL BIT(14)
#define PCI_MSIX_ENABLE BIT(15)
#define PCI_MSIX_BAR 7U		/* of the table */
#define PCI_MSIX_ENTRY 16U	/* bytes: address, data, control with the mask in bit 0 */

/* PCI Express: capabilities, control, status of function, link and slot. */
enum { PCI_EXP_FLAGS = 2, PCI_EXP_DEVCAP = 4, PCI_EXP_DEVCTL = 8, PCI_EXP_DEVSTA = 10 };
enum { PCI_EXP_LINK = 16, PCI_EXP_SLOT = 24, PCI_EXP_ROOT = 28, PCI_EXP_DEVCTL2 = 0x28 };
/* Types, in bits 7:4 of the flags; TO_PCI: a bridge to conventional PCI. Bits 3:0: version. */
enum { PCI_EXP_TYPE_ROOT_PORT = 4, PCI_EXP_TYPE_UPSTREAM = 5, PCI_EXP_TYPE_DOWNSTREAM = 6 };
enum { PCI_EXP_TYPE_TO_PCI = 7, PCI_EXP_TYPE_NONE = 0xff };
#define PCI_EXP_SLOT_PORT 0x142U	/* flags of a root port with a slot */
#define PCI_EXP_DEVCAP_FLR BIT(28)
#define PCI_EXP_DEVCTL_FLR BIT(15)
#define PCI_EXP_DEVSTA_PENDING BIT(5)
#define PCI_EXP_LINK_DISABLE BIT(4)
#define PCI_EXP_LINK_REPORTS BIT(20)	/* capability: whether it is active */
#define PCI_EXP_LINK_ACTIVE BIT(13)	/* status */

/* Slot control. Bits 4:0 and 12 enable the events of bits 4:0 and 8 of slot status. */
#define SLOT_INTERRUPT 0x20U
#define SLOT_POWER 0x300U		/* indicator */
#define SLOT_POWER_ON 0x100U
#define SLOT_POWER_OFF 0x300U
#define SLOT_POWERED_OFF 0x400U
#define SLOT_LINK_ENABLE 0x1000U
#define SLOT_BUTTON 0x1U		/* status: pressed */
#define SLOT_PRESENT_CHANGED 0x8U
#define SLOT_LINK_CHANGED 0x100U
#define SLOT_EVENTS 0x11fU
#define SLOT_PRESENT 0x40U
#define SLOT_NUMBER_SHIFT 19		/* slot capabilities */

enum { PCI_EXT_FIRST = 0x100, PCI_EXT_ACS = 0x0d, PCI_ACS_CAP = 4, PCI_ACS_CONTROL = 6 };
#define PCI_ACS_WANTED 0x1dU	/* source validation, request and completion redirect, forwarding */

/* SR-IOV: virtual functions exist, their memory is decoded; the first one's id from the physical one's. */
enum {
	PCI_EXT_SRIOV = 0x10,
	PCI_SRIOV_CONTROL = 0x08,
	PCI_SRIOV_TOTAL = 0x0e,
	PCI_SRIOV_NUM = 0x10
};
enum { PCI_SRIOV_OFFSET = 0x14, PCI_SRIOV_STRIDE = 0x16, PCI_SRIOV_DEVICE = 0x1a };
enum { PCI_SRIOV_PAGE_SIZE = 0x20, PCI_SRIOV_BAR0 = 0x24 };
#define PCI_SRIOV_VFE BIT(0)
#define PCI_SRIOV_MSE BIT(3)
#define PCI_SRIOV_ARI BIT(4)
#define PCI_SRIOV_4K 1U
#define PCI_SRIOV_SIZE 0x40U
