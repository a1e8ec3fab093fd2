/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * MSI and MSI-X of a domain's functions. The domain writes messages for its virtual APICs; the
 * function has others, for a vector of Margay's on the CPU where the addressed vCPU is. Margay takes
 * the interrupt there and delivers the domain's message. The pages that have the MSI-X table are
 * emulated. pci_lock protects all but address and data, which handlers read; a domain that changes
 * them meanwhile harms itself. PCI 3.0, 6.8.
 */
#include <margay/arch.h>
#include <margay/errno.h>
#include <x86/apic.h>
#include <x86/paging.h>

#include "guest.h"
#include "vpci.h"

#define MSG_BASE 0xfee00000UL	/* SDM 3A 11.11.1 */
#define MSG_LOGICAL BIT(2)
#define MSG_HINT BIT(3)
#define DATA_MODE(data) ((data) >> 8 & 7)
#define MODE_LOWEST 1U
#define ENTRY_MASKED 1U

enum { ENTRY_ADDRESS, ENTRY_ADDRESS_HIGH, ENTRY_DATA, ENTRY_CONTROL };

struct message {
	/* A CPU change keeps the last vector: an interrupt may be on its way to it. */
	struct message_irq {
		struct irq irq;
		struct message *of;
	} irq[2];
	struct vmsi *m;
	u64 address;		/* as the domain wrote them */
	u32 data;
	bool masked, allocated;
	u8 now;			/* index into irq */
};

struct vmsi {
	struct vpci_function *v;
	bool is_msix, stopped;
	u8 at;			/* offset of the capability */
	u8 bar;			/* of the table */
	unsigned n, used;	/* messages; of MSI, those that are enabled */
	u64 offset;		/* of the table in its BAR */
	u16 control;
	u64 address;		/* MSI's registers */
	u16 data;
	struct mmio_region table;
	bool added;		/* table, to the domain's regions */
	volatile u8 *regs;	/* of the table's pages */
	struct iommu_irq *routes;
	struct message msg[];
};

static void handler(struct irq *i)
{
	const struct message *g = container_of(i, struct message_irq, irq)->of;
	u64 address = READ_ONCE(g->address);
	u32 data = READ_ONCE(g->data);

	g->m->v->interrupts++;
	if (address >> 20 == MSG_BASE >> 20 && DATA_MODE(data) <= MODE_LOWEST)
		vlapic_device_interrupt(g->m->v->d, (u8)(address >> 12), address & MSG_LOGICAL,
					DATA_MODE(data) == MODE_LOWEST ||
						(address & (MSG_LOGICAL | MSG_HINT)) ==
							(MSG_LOGICAL | MSG_HINT),
					(u8)data, false);
}

/* Returns the CPU of the vCPU that a message names. */
static struct cpu *cpu_for(const struct vmsi *m, const struct message *g)
{
	const struct domain *d = m->v->d;
	u64 id = (g->address >> 12 & 0xff) >> d->apic_shift;
	struct cpu *c = d->vcpus[id < d->nr_vcpus && !(g->address & MSG_LOGICAL) ? id : 0]->cpu;

	/* Without remapping, a destination has 8 bits. */
	return !m->routes->unit && c->apic_id >= XAPIC_BROADCAST ? housekeeping_cpu : c;
}

/* Binds a message to the CPU that it has to go to. 0 or -ENOSPC. */
static int bind(struct vmsi *m, unsigned i)
{
	struct message *g = &m->msg[i];
	struct cpu *c = cpu_for(m, g);
	struct irq *irq = &g->irq[g->now].irq;

	if (irq->cpu == c)
		return 0;
	irq = &g->irq[!g->now].irq;
	irq_unbind(irq);
	if (irq_bind(irq, c))
		return -ENOSPC;
	g->now = !g->now;
	iommu_irq_route(&m->routes[i], c->apic_id, irq->vector, false);
	return 0;
}

static volatile u32 *entry(const struct vmsi *m, unsigned i)
{
	return (volatile u32 *)(m->regs + (m->offset & ~PAGE_MASK) + i * PCI_MSIX_ENTRY);
}

/* Writes an entry of the function's table as the domain's entry and MSI-X Enable want it. */
static void update_entry(struct vmsi *m, unsigned i)
{
	struct message *g = &m->msg[i];
	volatile u32 *e = entry(m, i);
	u64 address;
	u32 data;

	if (!(m->control & PCI_MSIX_ENABLE) || g->masked) {
		e[ENTRY_CONTROL] = ENTRY_MASKED;
		return;
	}
	if (!g->allocated && iommu_irq_alloc(&m->routes[i], 1, m->v->f->sbdf))
		return;
	g->allocated = true;
	if (bind(m, i))
		return;
	iommu_irq_message(&m->routes[i], &address, &data);
	e[ENTRY_CONTROL] = ENTRY_MASKED;
	e[ENTRY_ADDRESS] = (u32)address;
	e[ENTRY_ADDRESS_HIGH] = (u32)(address >> 32);
	e[ENTRY_DATA] = data;
	e[ENTRY_CONTROL] = 0;
}

static void config_write(const struct vmsi *m, unsigned reg, unsigned size, u32 val)
{
	pci_write(m->v->f->sbdf, m->at + reg, size, val);
}

static void write_msix_control(struct vmsi *m, u16 val)
{
	u16 old = m->control;

	m->control = val & (PCI_MSIX_ENABLE | PCI_MSIX_MASK_ALL);
	config_write(m, PCI_MSIX_CONTROL, 2, m->control | PCI_MSIX_MASK_ALL);
	if ((m->control ^ old) & PCI_MSIX_ENABLE)
		for (unsigned i = 0; i < m->n; i++)
			update_entry(m, i);
	config_write(m, PCI_MSIX_CONTROL, 2, m->control);
}

static void free_routes(struct vmsi *m)
{
	for (unsigned i = 0; i < m->n; i++) {
		struct message *g = &m->msg[i];

		if (!g->allocated)
			continue;
		iommu_irq_route(&m->routes[i], 0, 0, false);
		irq_unbind(&g->irq[0].irq);
		irq_unbind(&g->irq[1].irq);
		g->allocated = false;
		if (m->is_msix)
			iommu_irq_free(&m->routes[i], 1);
	}
	if (!m->is_msix && m->used)
		iommu_irq_free(m->routes, m->used);
	m->used = 0;
}

static unsigned data_reg(const struct vmsi *m) { return m->control & PCI_MSI_64 ? 12 : 8; }

/* Gives the messages of an enabled MSI to the vCPUs that its registers name now. */
static int update_messages(struct vmsi *m)
{
	for (unsigned i = 0; i < m->used; i++) {
		WRITE_ONCE(m->msg[i].address, m->address);
		WRITE_ONCE(m->msg[i].data, (m->data & ~(m->used - 1)) | i);
		m->msg[i].allocated = true;
		if (bind(m, i))
			return -ENOSPC;
	}
	return 0;
}

static void enable_msi(struct vmsi *m)
{
	unsigned shift = min(m->control >> PCI_MSI_ENABLED_SHIFT & 7U,
			     m->control >> PCI_MSI_CAPABLE_SHIFT & 7U);
	u64 address;
	u32 data;

	m->used = min(1U << shift, m->n);
	if (iommu_irq_alloc(m->routes, m->used, m->v->f->sbdf)) {
		m->used = 0;
		return;
	}
	/* Without remapping, the vectors would have to follow each other. */
	if (!m->routes->unit)
		m->used = 1;
	if (update_messages(m)) {
		free_routes(m);
		return;
	}
	iommu_irq_message(m->routes, &address, &data);
	config_write(m, 4, 4, (u32)address);
	if (m->control & PCI_MSI_64)
		config_write(m, 8, 4, (u32)(address >> 32));
	config_write(m, data_reg(m), 2, data);
	shift = m->used == 1 ? 0 : shift;
	config_write(m, PCI_MSI_CONTROL, 2, PCI_MSI_ENABLE | shift << PCI_MSI_ENABLED_SHIFT);
}

static void write_msi_control(struct vmsi *m, u16 val)
{
	u16 writable = PCI_MSI_ENABLE | 7U << PCI_MSI_ENABLED_SHIFT;

	/* The number of messages changes with MSI off. */
	if (m->control & val & PCI_MSI_ENABLE)
		return;
	config_write(m, PCI_MSI_CONTROL, 2, 0);
	free_routes(m);
	m->control = (u16)((m->control & ~writable) | (val & writable));
	if (val & PCI_MSI_ENABLE)
		enable_msi(m);
}

u32 vmsi_read(const struct vmsi *m, unsigned reg, unsigned size)
{
	if (m->is_msix)
		return m->control | (m->n - 1);
	if (reg == PCI_MSI_CONTROL)
		return m->control;
	if (reg == 4)
		return (u32)m->address;
	if (reg == 8 && (m->control & PCI_MSI_64))
		return (u32)(m->address >> 32);
	if (reg == data_reg(m))
		return m->data;
	return pci_read(m->v->f->sbdf, m->at + reg, size);	/* mask and pending bits */
}

void vmsi_write(struct vmsi *m, unsigned reg, unsigned size, u32 val)
{
	if (m->stopped)
		return;
	if (m->is_msix) {
		write_msix_control(m, (u16)val);
	} else if (reg == PCI_MSI_CONTROL) {
		write_msi_control(m, (u16)val);
	} else if (reg == data_reg(m) + 4) {
		config_write(m, reg, size, val);
	} else {
		if (reg == 4)
			m->address = (m->address & ~0xffffffffUL) | (val & ~3U);
		else if (reg == 8 && (m->control & PCI_MSI_64))
			m->address = (u32)m->address | (u64)val << 32;
		else if (reg == data_reg(m))
			m->data = (u16)val;
		(void)update_messages(m);
	}
}

/* Accesses what else is in the table's pages. */
static u64 device_access(const struct vmsi *m, u64 offset, unsigned size, const u64 *val)
{
	volatile void *at = m->regs + offset;

	if (offset % size || m->stopped)
		return ~0UL;
#define ACCESS(bytes, type)                                                                   \
	case bytes:                                                                           \
		if (val)                                                                      \
			*(volatile type *)at = (type)*val;                                    \
		return val ? 0 : *(volatile type *)at
	switch (size) {
		ACCESS(1, u8);
		ACCESS(2, u16);
		ACCESS(4, u32);
		ACCESS(8, u64);
	}
#undef ACCESS
	return ~0UL;
}

static u32 read_entry(const struct vmsi *m, u64 at)
{
	const struct message *g = &m->msg[index_nospec(at / PCI_MSIX_ENTRY, m->n)];

	if (at / PCI_MSIX_ENTRY >= m->n)
		return 0;
	switch (at / 4 % 4) {
	case ENTRY_ADDRESS: return (u32)g->address;
	case ENTRY_ADDRESS_HIGH: return (u32)(g->address >> 32);
	case ENTRY_DATA: return g->data;
	default: return g->masked;
	}
}

static void write_entry(struct vmsi *m, u64 at, u32 val)
{
	unsigned i = (unsigned)index_nospec(at / PCI_MSIX_ENTRY, m->n);
	struct message *g = &m->msg[i];

	if (at / PCI_MSIX_ENTRY >= m->n)
		return;
	switch (at / 4 % 4) {
	case ENTRY_ADDRESS:
		WRITE_ONCE(g->address, (g->address & ~0xffffffffUL) | (val & ~3U));
		break;
	case ENTRY_ADDRESS_HIGH:
		WRITE_ONCE(g->address, (u32)g->address | (u64)val << 32);
		break;
	case ENTRY_DATA: WRITE_ONCE(g->data, val); break;
	default: g->masked = val & ENTRY_MASKED; break;
	}
	update_entry(m, i);
}

static u64 table_read(struct vcpu *v __unused, struct mmio_region *r, u64 offset, unsigned size)
{
	const struct vmsi *m = container_of(r, struct vmsi, table);
	u64 at = offset - (m->offset & ~PAGE_MASK), val;

	guard(&pci_lock);
	if (at >= m->n * PCI_MSIX_ENTRY)
		return device_access(m, offset, size, NULL);
	val = read_entry(m, at);
	if (size == 8)
		val |= (u64)read_entry(m, at + 4) << 32;
	return val >> at % 4 * 8;
}

static void table_write(struct vcpu *v __unused, struct mmio_region *r, u64 offset, unsigned size,
			u64 val)
{
	struct vmsi *m = container_of(r, struct vmsi, table);
	u64 at = offset - (m->offset & ~PAGE_MASK);

	guard(&pci_lock);
	if (at >= m->n * PCI_MSIX_ENTRY) {
		device_access(m, offset, size, &val);
		return;
	}
	if (size < 4 || at % 4 || m->stopped)	/* PCI 3.0, 6.8.2: undefined */
		return;
	write_entry(m, at, (u32)val);
	if (size == 8)
		write_entry(m, at + 4, (u32)(val >> 32));
}

bool vmsi_has_table(const struct vmsi *m, unsigned i, u64 offset, u64 size)
{
	u64 first = m ? m->offset & PAGE_MASK : 0;

	return m && m->bar == i && offset < first + m->table.size && first < offset + size;
}

void vmsi_move_table(struct vmsi *m, unsigned i, gpaddr_t gpa)
{
	if (!m || m->bar != i)
		return;
	if (m->added)
		mmio_remove(m->v->d, &m->table);
	m->added = gpa && !m->stopped;
	m->table.base = gpa + (m->offset & PAGE_MASK);
	if (!m->added)
		return;
	mmio_add(m->v->d, &m->table);
	vpci_unmap(m->v->d, m->table.base, m->table.size);
}

int vmsi_map_table(struct vmsi *m)
{
	struct pci_function *f = m->v->f;
	paddr_t page = (f->bar[m->bar].base + m->offset) & PAGE_MASK;

	if (f->msix_page != page) {
		f->msix_regs = map_mmio(page, m->table.size);
		f->msix_page = f->msix_regs ? page : 0;
	}
	m->regs = f->msix_regs;
	return m->regs ? 0 : -ENOMEM;
}

/* Finds and maps the MSI-X table. A device may say nonsense: -EINVAL. */
static int find_table(struct vmsi *m)
{
	struct pci_function *f = m->v->f;
	u32 where = pci_read(f->sbdf, m->at + PCI_MSIX_TABLE, 4);
	const struct pci_bar *b;
	u64 size;

	m->bar = where & PCI_MSIX_BAR;
	m->offset = where & ~PCI_MSIX_BAR;
	b = &f->bar[min(m->bar, (u8)(PCI_BARS - 1))];
	size = (m->offset & ~PAGE_MASK) + m->n * PCI_MSIX_ENTRY;
	if (m->bar >= PCI_BARS || b->io || !b->base || m->offset + m->n * PCI_MSIX_ENTRY > b->size)
		return -EINVAL;
	m->table.size = ALIGN_UP(size, PAGE_SIZE);
	m->table.read = table_read;
	m->table.write = table_write;
	return vmsi_map_table(m);
}

int vmsi_create(struct vpci_function *v, bool is_msix, struct vmsi **out)
{
	u8 at = is_msix ? v->f->msix : v->f->msi;
	u16 control = (u16)pci_read(v->f->sbdf, at + PCI_MSI_CONTROL, 2);
	unsigned n = is_msix ? (control & PCI_MSIX_SIZE) + 1 :
			       1U << min(control >> PCI_MSI_CAPABLE_SHIFT & 7, 5);
	struct vmsi *m = kzalloc(sizeof(*m) + n * sizeof(m->msg[0]));
	int rc = -ENOMEM;

	if (!m)
		return -ENOMEM;
	*m = (struct vmsi){ .v = v, .is_msix = is_msix, .at = at, .n = n };
	m->routes = kzalloc(n * sizeof(m->routes[0]));
	for (unsigned i = 0; i < n; i++) {
		struct message *g = &m->msg[i];

		g->m = m;
		g->masked = true;
		g->irq[0] = g->irq[1] = (struct message_irq){ { .fn = handler }, g };
	}
	if (m->routes)
		rc = is_msix ? find_table(m) : 0;
	if (rc) {
		vmsi_free(m);
		return rc;
	}
	config_write(m, PCI_MSI_CONTROL, 2, 0);
	if (!is_msix)
		m->control = control & ~(PCI_MSI_ENABLE | 7U << PCI_MSI_ENABLED_SHIFT);
	*out = m;
	return 0;
}

void vmsi_stop(struct vmsi *m)
{
	if (!m || m->stopped)
		return;
	m->stopped = true;
	config_write(m, PCI_MSI_CONTROL, 2, 0);
	free_routes(m);
	vmsi_move_table(m, m->bar, 0);
}

void vmsi_free(struct vmsi *m)
{
	if (m)
		kfree(m->routes);
	kfree(m);
}
