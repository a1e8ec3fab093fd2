/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * MSI and MSI-X of a domain's functions. The domain writes messages for its virtual APICs; the
 * function has others, for a vector of Margay's on the CPU where the addressed vCPU is. Margay takes
 * the interrupt there and delivers the domain's message; or the IOMMU posts it to the vCPU, or sends
 * it straight to the CPU that the vCPU owns. Or the domain names a PIRQ instead of a vector, and takes
 * an event, which needs no EOI. The pages that have the MSI-X table are emulated.
 * pci_lock protects all but address and data, which handlers read; a domain that changes them
 * meanwhile harms itself. PCI 3.0, 6.8.
 */
#include <margay/arch.h>
#include <margay/errno.h>
#include <margay/evtchn.h>
#include <x86/apic.h>
#include <x86/hardware.h>
#include <x86/io.h>
#include <x86/paging.h>
#include <x86/posting.h>

#include "guest.h"
#include "vpci.h"

#define ENTRY_MASKED 1U
#define GUEST_MESSAGES 512U	/* VT-d's table has 4,096 entries for all */

/* A message, as an entry of an MSI-X table has it. */
enum { ADDRESS, ADDRESS_HIGH, DATA, CONTROL, ENTRY_WORDS };
static const u32 writable[ENTRY_WORDS] = { ~3U, ~0U, ~0U, ENTRY_MASKED };

struct message {
	struct moving_irq irq;
	struct vpci_function *v;
	struct iommu_irq route;
	u32 word[ENTRY_WORDS];	/* as the domain wrote them */
	bool allocated;		/* route is */
};

struct vmsi {
	struct vpci_function *v;
	bool wide;		/* MSI's address has 64 bits */
	u16 msix;		/* control of MSI-X, so far as it can be written */
	unsigned entries;	/* of the MSI-X table; 0: there is none that can be used */
	u8 bar;			/* of the table */
	u64 offset;		/* of the table in its BAR */
	u64 start;		/* of the table in its pages */
	struct mmio_region table;	/* base 0: not among the domain's regions */
	volatile u8 *regs;	/* of the table's pages; NULL: nobody may use them */
	bool lacked;		/* some got nothing, and the log says so */
	unsigned nr_msgs;	/* MSI's, and as many as the table says */
	struct message msg[];	/* the one of MSI, and those of MSI-X */
};

static u64 address_of(const struct message *g)
{
	return READ_ONCE(g->word[ADDRESS]) | (u64)READ_ONCE(g->word[ADDRESS_HIGH]) << 32;
}

/* Returns whether a message names a PIRQ: an ExtINT with vector 0, as Linux says it to Xen. */
static bool is_event(const struct domain *d, u32 data)
{
	return (data & 0x7ff) == 0x700 && d->pirqs;
}

/* The PIRQ is where the APIC's ID would be, with its upper bits in the address's upper half. */
static u32 pirq_of(u64 address)
{
	return (u32)(address >> MSG_DEST_SHIFT & 0xff) | (u32)(address >> 32 & ~0xffU);
}

void vmsi_deliver(struct domain *d, u64 address, u32 data)
{
	if (is_event(d, data))
		evtchn_pirq(d, pirq_of(address));
	else
		vlapic_message(d, address, data, false);
}

/* Returns the CPU that has to get a message for Margay: the vCPU's, unless the vCPU owns it. */
static struct cpu *cpu_of(const struct message *g)
{
	struct domain *d = g->v->d;
	struct vcpu *v = is_event(d, READ_ONCE(g->word[DATA])) ?
				 evtchn_pirq_vcpu(d, pirq_of(address_of(g))) :
				 vlapic_message_vcpu(d, address_of(g));
	struct cpu *c = READ_ONCE(v->cpu);

	/* Without remapping, the machine's messages have destinations of 8 bits. */
	return c->owner || (!g->route.unit && c->apic_id >= XAPIC_BROADCAST) ? housekeeping_cpu : c;
}

/* Returns the CPU whose local APIC can have the domain's own message, or NULL. */
static struct cpu *owner_of(const struct message *g)
{
	return g->route.unit ?
		       vlapic_message_owner(g->v->d, address_of(g), READ_ONCE(g->word[DATA])) :
		       NULL;
}

static void handler(struct irq *i)
{
	const struct message *g = i->arg;

	g->v->interrupts++;
	if (cpu_of(g) != this_cpu() || owner_of(g))
		g->v->astray = true;
	vmsi_deliver(g->v->d, address_of(g), READ_ONCE(g->word[DATA]));
}

/* Says so once, as a guest may try again and again. */
static int lacks(struct vmsi *m, const char *what)
{
	if (!m->lacked)
		pr_warn("PCI: " PCI_FMT ": no %s left for its interrupts\n",
			PCI_ARGS(m->v->f->sbdf), what);
	m->lacked = true;
	return -ENOSPC;
}

/* Sends a message there from now on: to a vector of a CPU, or of the vCPU with that descriptor. */
static void aim(struct message *g, u32 apic_id, u8 vector, paddr_t posted)
{
	struct iommu_irq *r = &g->route;

	if (r->apic_id == apic_id && r->vector == vector && r->posted == posted)
		return;
	r->posted = posted;
	iommu_irq_route(r, apic_id, vector, false);
}

/*
 * Allocates what a message needs, and sends it straight to the vCPU's own CPU, else by the
 * hardware's posting, else to Margay on the CPU of the vCPU. 0 or -ENOSPC.
 */
static int start(struct vmsi *m, struct message *g)
{
	struct vpci *p = m->v->d->vpci;
	u8 vector = (u8)g->word[DATA];
	struct cpu *owner, *c;
	paddr_t posted = 0;

	if (!g->allocated) {
		if ((!m->v->d->hardware && p->messages == GUEST_MESSAGES) ||
		    iommu_irq_alloc(&g->route, m->v->f->sbdf))
			return lacks(m, "remapping entries");
		g->allocated = true;
		p->messages++;
	}
	owner = owner_of(g);
	if (!owner && iommu_irq_posts(&g->route))
		posted = posting_target(m->v->d, address_of(g), g->word[DATA]);
	if (owner || posted) {
		aim(g, owner ? owner->apic_id : 0, vector, posted);
		return 0;
	}
	c = cpu_of(g);
	if (irq_now(&g->irq)->cpu != c && irq_move(&g->irq, c) && !irq_now(&g->irq)->cpu)
		return lacks(m, "vectors");
	aim(g, irq_now(&g->irq)->cpu->apic_id, irq_now(&g->irq)->vector, 0);
	return 0;
}

/* Blocks a message and gives up what it has. */
static void stop(struct message *g)
{
	if (!g->allocated)
		return;
	g->allocated = false;
	((struct vpci *)g->v->d->vpci)->messages--;
	g->route.posted = 0;
	iommu_irq_free(&g->route);
	irq_stop(&g->irq);
}

/*
 * Without remapping the function itself has the vector, and the guest's next write of it is waited
 * for. What was left behind on a CPU with an owner is not needed at the next call: isolate.c.
 */
void vmsi_follow(struct vmsi *m)
{
	for (unsigned i = 0; m && i < m->nr_msgs; i++) {
		struct message *g = &m->msg[i];
		struct irq *last = irq_last(&g->irq);

		if (last->cpu && last->cpu->owner)
			irq_unbind(last);
		if (g->allocated && g->route.unit)
			start(m, g);
	}
}

static void config_write(const struct vmsi *m, unsigned reg, unsigned size, u32 val)
{
	pci_write(m->v->f->sbdf, reg, size, val);
}

/* Turns both kinds off. */
static void turn_off(struct vmsi *m)
{
	if (m->v->f->msi)
		config_write(m, m->v->f->msi + PCI_MSI_CONTROL, 2, 0);
	if (m->v->f->msix)
		config_write(m, m->v->f->msix + PCI_MSIX_CONTROL, 2, 0);
	for (unsigned i = 0; i < m->nr_msgs; i++)
		stop(&m->msg[i]);
	m->msix = 0;
}

/* Writes an entry of the function's table as the domain's entry and MSI-X Enable want it. */
static void update_entry(struct vmsi *m, unsigned i)
{
	struct message *g = &m->msg[1 + i];
	volatile u32 *e;
	u64 address;
	u32 data;

	if (!m->regs)
		return;
	e = (volatile u32 *)(m->regs + m->start) + i * ENTRY_WORDS;
	e[CONTROL] = ENTRY_MASKED;
	/* A guest masks a PIRQ's event; it leaves the entry masked, as it was at the reset. */
	if (!(m->msix & PCI_MSIX_ENABLE) ||
	    (g->word[CONTROL] && !is_event(m->v->d, g->word[DATA])) || start(m, g))
		return;
	iommu_irq_message(&g->route, &address, &data);
	e[ADDRESS] = (u32)address;
	e[ADDRESS_HIGH] = (u32)(address >> 32);
	e[DATA] = data;
	e[CONTROL] = 0;
}

static void update_msix(struct vmsi *m, u16 control)
{
	unsigned reg = m->v->f->msix + PCI_MSIX_CONTROL;

	m->msix = control;
	config_write(m, reg, 2, control | PCI_MSIX_MASK_ALL);
	for (unsigned i = 0; i < m->entries; i++)
		update_entry(m, i);
	config_write(m, reg, 2, control);
}

/* Returns the domain's value of a register of the MSI capability. */
static u32 msi_reg(const struct vmsi *m, unsigned reg)
{
	return m->v->reg[(m->v->f->msi + reg) / 4].value;
}

static void update_msi(struct vmsi *m, bool on)
{
	unsigned at = m->v->f->msi, data_reg = m->wide ? 12 : 8;
	struct message *g = &m->msg[0];
	u64 address;
	u32 data;

	WRITE_ONCE(g->word[ADDRESS], msi_reg(m, 4));
	WRITE_ONCE(g->word[ADDRESS_HIGH], m->wide ? msi_reg(m, 8) : 0);
	WRITE_ONCE(g->word[DATA], msi_reg(m, data_reg) & 0xffff);
	if (!on || start(m, g)) {
		config_write(m, at + PCI_MSI_CONTROL, 2, 0);
		stop(g);
		return;
	}
	iommu_irq_message(&g->route, &address, &data);
	config_write(m, at + 4, 4, (u32)address);
	if (m->wide)
		config_write(m, at + 8, 4, (u32)(address >> 32));
	config_write(m, at + data_reg, 2, data);
	config_write(m, at + PCI_MSI_CONTROL, 2, PCI_MSI_ENABLE);
}

void vmsi_update(struct vmsi *m)
{
	u32 msix;

	if (!m)
		return;
	msix = m->entries ? m->v->reg[m->v->f->msix / 4].value >> 16 : 0;
	if ((msix ^ m->msix) & PCI_MSIX_ENABLE)
		turn_off(m);
	if (m->v->f->msi)
		update_msi(m, msi_reg(m, 0) >> 16 & ~msix >> 15 & PCI_MSI_ENABLE);
	if (msix != m->msix)
		update_msix(m, (u16)msix);
}

/* Accesses the table's pages. What is no entry is the device's own. */
static void table_access(struct vcpu *v __unused, struct mmio_region *r, u64 offset, unsigned size,
			 u64 *val, bool write)
{
	struct vmsi *m = container_of(r, struct vmsi, table);
	u64 at = offset - m->start, i = at / PCI_MSIX_ENTRY;
	unsigned n = at / 4 % ENTRY_WORDS;
	u32 *word;

	guard(&pci_lock);
	/* Another vCPU may have moved the table since this one looked for it. */
	if (offset % size || offset >= r->size || !m->regs)
		return;
	if (i >= m->entries) {
		device_access(m->regs + offset, size, val, write);
		return;
	}
	i = index_nospec(i, m->entries);
	word = m->msg[1 + i].word;
	if (!write) {
		*val = (word[n] | (size == 8 ? (u64)word[n + 1] << 32 : 0)) >> offset % 4 * 8;
	} else if (size >= 4) {		/* PCI 3.0, 6.8.2: smaller writes are undefined */
		for (u64 rest = *val; size; size -= 4, rest >>= 32, n++)
			WRITE_ONCE(word[n], (u32)rest & writable[n]);
		update_entry(m, (unsigned)i);
	}
}

bool vmsi_has_table(const struct vmsi *m, unsigned i, u64 offset, u64 size)
{
	u64 first = m ? m->offset & PAGE_MASK : 0;

	return m && m->entries && m->bar == i && offset < first + m->table.size &&
	       first < offset + size;
}

/* Maps the table's pages where the device has them now. Firmware may have put it over others. */
static void map_table(struct vmsi *m)
{
	struct pci_function *f = m->v->f;
	paddr_t at = f->bar[m->bar].base + m->offset, page = at & PAGE_MASK;

	if (f->msix_page != page) {
		bool own = memory_is_devices(m->v->d, f, at, m->entries * PCI_MSIX_ENTRY);

		f->msix_regs = own ? map_mmio(page, m->table.size) : NULL;
		f->msix_page = f->msix_regs ? page : 0;
	}
	m->start = at & ~PAGE_MASK;
	m->regs = f->msix_regs;
}

void vmsi_move_table(struct vmsi *m, unsigned i, gpaddr_t gpa)
{
	if (!vmsi_has_table(m, i, 0, ~0UL))
		return;
	if (m->table.base)
		mmio_remove(m->v->d, &m->table);
	m->table.base = gpa ? (gpa + m->offset) & PAGE_MASK : 0;
	if (!gpa)
		return;
	map_table(m);
	mmio_add(m->v->d, &m->table);
	vpci_unmap(m->v->d, m->table.base, m->table.size);
	/* MSI-X may have been turned on while the table was nowhere. */
	for (i = 0; i < m->entries && (m->msix & PCI_MSIX_ENABLE); i++)
		update_entry(m, i);
}

/* Finds the MSI-X table. A device may say nonsense: then nobody can use its MSI-X. */
static void find_table(struct vmsi *m, unsigned entries)
{
	struct pci_function *f = m->v->f;
	u32 where = pci_read(f->sbdf, f->msix + PCI_MSIX_TABLE, 4);
	u64 size = entries * PCI_MSIX_ENTRY;
	const struct pci_bar *b;

	m->bar = where & PCI_MSIX_BAR;
	m->offset = where & ~PCI_MSIX_BAR;
	b = &f->bar[min(m->bar, (u8)(PCI_BARS - 1))];
	if (m->bar >= PCI_BARS || b->io || m->offset + size > b->size)
		return;
	m->table.size = ALIGN_UP((m->offset & ~PAGE_MASK) + size, PAGE_SIZE);
	m->table.access = table_access;
	m->entries = entries;
}

/* The enabling bits and the message are virtual, mask and pending bits the device's. One message. */
static void msi_rules(const struct vmsi *m, u32 control)
{
	unsigned msi = m->v->f->msi, data = msi + (m->wide ? 12 : 8);

	vpci_rule(m->v, msi, ~0U, PCI_MSI_MULTIPLE << 16 | PCI_MSI_ENABLE << 16,
		  PCI_MSI_ENABLE << 16);
	vpci_rule(m->v, msi + 4, ~0U, ~0U, ~3U);
	if (m->wide)
		vpci_rule(m->v, msi + 8, ~0U, ~0U, ~0U);
	vpci_rule(m->v, data, 0xffff, 0xffff, 0xffff);
	if (control & PCI_MSI_MASKING)
		vpci_rule(m->v, data + 4, ~0U, 0, ~0U);
}

int vmsi_create(struct vpci_function *v)
{
	const struct pci_function *f = v->f;
	u32 control = f->msi ? pci_read(f->sbdf, f->msi + PCI_MSI_CONTROL, 2) : 0, enabling;
	unsigned entries = 0;
	struct vmsi *m;

	if (!f->msi && !f->msix)
		return 0;
	if (f->msix)
		entries = (pci_read(f->sbdf, f->msix + PCI_MSIX_CONTROL, 2) & PCI_MSIX_SIZE) + 1;
	m = v->msi = kzalloc(sizeof(*m) + (1 + entries) * sizeof(m->msg[0]));
	if (!m)
		return -ENOMEM;
	*m = (struct vmsi){ .v = v, .wide = control & PCI_MSI_64, .nr_msgs = 1 + entries };
	for (struct message *g = m->msg; g < m->msg + m->nr_msgs; g++) {
		*g = (struct message){ .v = v, .word[CONTROL] = ENTRY_MASKED };
		g->irq.irq[0] = g->irq.irq[1] = (struct irq){
			.fn = handler, .arg = g, .user = v->d->hardware ? NULL : v->d
		};
	}
	turn_off(m);
	if (f->msi)
		msi_rules(m, control);
	if (!entries)
		return 0;
	find_table(m, entries);
	enabling = m->entries ? (PCI_MSIX_ENABLE | PCI_MSIX_MASK_ALL) << 16 : 0;
	vpci_rule(v, f->msix, ~0U, enabling, enabling);
	return 0;
}

void vmsi_stop(struct vmsi *m)
{
	if (!m)
		return;
	turn_off(m);
	m->regs = NULL;
}
