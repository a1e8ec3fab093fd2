/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * MSI and MSI-X of a domain's functions. The domain writes messages for its virtual APICs; the
 * function has others, for a vector of Margay's on the CPU where the addressed vCPU is. Margay takes
 * the interrupt there and delivers the domain's message; or the IOMMU posts it to the vCPU. The pages that have the MSI-X table are
 * emulated. pci_lock protects all but address and data, which handlers read; a domain that changes
 * them meanwhile harms itself. PCI 3.0, 6.8.
 */
#include <margay/arch.h>
#include <margay/errno.h>
#include <x86/apic.h>
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
	/* A CPU change keeps the last vector: an interrupt may be on its way to it. */
	struct message_irq {
		struct irq irq;
		struct message *of;
	} irq[2];
	struct vpci_function *v;
	u32 word[ENTRY_WORDS];	/* as the domain wrote them */
	bool allocated;
	u8 now;			/* index into irq */
};

struct vmsi {
	struct vpci_function *v;
	unsigned messages;	/* of MSI; 0: the function has none */
	unsigned wanted, used;	/* of these, what the domain has enabled, and what it got */
	bool wide;		/* MSI's address has 64 bits */
	u16 msix;		/* control of MSI-X, so far as it can be written */
	unsigned entries;	/* of the MSI-X table; 0: there is none that can be used */
	u8 bar;			/* of the table */
	u64 offset;		/* of the table in its BAR */
	struct mmio_region table;	/* base 0: not among the domain's regions */
	volatile u8 *regs;	/* of the table's pages; NULL: nobody may use them */
	unsigned n;		/* messages of either kind */
	bool lacked;		/* some got nothing, and the log says so */
	struct iommu_irq *routes;
	struct message msg[];
};

static u64 address_of(const struct message *g)
{
	return READ_ONCE(g->word[ADDRESS]) | (u64)READ_ONCE(g->word[ADDRESS_HIGH]) << 32;
}

static void handler(struct irq *i)
{
	const struct message *g = container_of(i, struct message_irq, irq)->of;

	g->v->interrupts++;
	if (vlapic_message_cpu(g->v->d, address_of(g), true) != this_cpu())
		g->v->astray = true;
	vlapic_message(g->v->d, address_of(g), READ_ONCE(g->word[DATA]), false);
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

/* Has the IOMMU post a message to the vCPU that it goes to. Returns whether that is possible. */
static bool post(struct vmsi *m, unsigned i)
{
	const struct message *g = &m->msg[i];
	struct iommu_irq *route = &m->routes[i];
	u8 vector = (u8)g->word[DATA];
	paddr_t to = 0;

	if (iommu_irq_posts(route))
		to = posting_target(m->v->d, address_of(g), g->word[DATA]);
	if (to && (to != route->posted || vector != route->vector)) {
		route->posted = to;
		iommu_irq_route(route, 0, vector, false);
	}
	route->posted = to;
	return to;
}

/* Binds a message to the CPU that it has to go to. -ENOSPC: to none at all. */
static int bind(struct vmsi *m, unsigned i)
{
	struct message *g = &m->msg[i];
	struct cpu *c = vlapic_message_cpu(m->v->d, address_of(g), m->routes[i].unit);
	struct irq *irq = &g->irq[g->now].irq, *next = &g->irq[!g->now].irq;
	bool posted = m->routes[i].posted;

	if (post(m, i) || (irq->cpu == c && !posted))
		return 0;
	irq_unbind(next);
	if (!irq_bind(next, c)) {
		g->now = !g->now;
		irq = next;
	}
	if (!irq->cpu)
		return lacks(m, "vectors");
	iommu_irq_route(&m->routes[i], irq->cpu->apic_id, irq->vector, false);
	return 0;
}

/* Without remapping the function itself has the vector, and the guest's next write of it is waited for. */
void vmsi_follow(struct vmsi *m)
{
	for (unsigned i = 0; m && i < m->n; i++)
		if (m->msg[i].allocated && m->routes[i].unit)
			bind(m, i);
}

/* Allocates remapping entries for n messages from i on. */
static int allocate(struct vmsi *m, unsigned i, unsigned n)
{
	struct vpci *p = m->v->d->vpci;

	if (m->msg[i].allocated)
		return 0;
	if ((!m->v->d->hardware && p->messages + n > GUEST_MESSAGES) ||
	    iommu_irq_alloc(&m->routes[i], n, m->v->f->sbdf))
		return lacks(m, "remapping entries");
	p->messages += n;
	while (n--)
		m->msg[i + n].allocated = true;
	return 0;
}

static void config_write(const struct vmsi *m, unsigned reg, unsigned size, u32 val)
{
	pci_write(m->v->f->sbdf, reg, size, val);
}

/* Turns both kinds off and gives up all that they had. */
static void turn_off(struct vmsi *m)
{
	if (m->v->f->msi)
		config_write(m, m->v->f->msi + PCI_MSI_CONTROL, 2, 0);
	if (m->v->f->msix)
		config_write(m, m->v->f->msix + PCI_MSIX_CONTROL, 2, 0);
	for (unsigned i = 0; i < m->n; i++) {
		struct message *g = &m->msg[i];

		if (!g->allocated)
			continue;
		m->routes[i].posted = 0;
		iommu_irq_route(&m->routes[i], 0, 0, false);
		irq_unbind(&g->irq[0].irq);
		irq_unbind(&g->irq[1].irq);
		iommu_irq_free(&m->routes[i], 1);
		g->allocated = false;
		((struct vpci *)m->v->d->vpci)->messages--;
	}
	m->used = m->msix = 0;
}

/* Writes an entry of the function's table as the domain's entry and MSI-X Enable want it. */
static void update_entry(struct vmsi *m, unsigned i)
{
	volatile u32 *e;
	u64 address;
	u32 data;

	if (!m->regs)
		return;
	e = (volatile u32 *)(m->regs + (m->offset & ~PAGE_MASK)) + i * ENTRY_WORDS;
	e[CONTROL] = ENTRY_MASKED;
	if (!(m->msix & PCI_MSIX_ENABLE) || m->msg[i].word[CONTROL] || allocate(m, i, 1) ||
	    bind(m, i))
		return;
	iommu_irq_message(&m->routes[i], &address, &data);
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

static void update_msi(struct vmsi *m)
{
	unsigned at = m->v->f->msi, data_reg = m->wide ? 12 : 8;
	u64 address;
	u32 data;

	for (unsigned i = 0; i < m->used; i++) {
		struct message *g = &m->msg[i];

		WRITE_ONCE(g->word[ADDRESS], msi_reg(m, 4));
		WRITE_ONCE(g->word[ADDRESS_HIGH], m->wide ? msi_reg(m, 8) : 0);
		WRITE_ONCE(g->word[DATA], (msi_reg(m, data_reg) & 0xffff & ~(m->used - 1)) | i);
		if (bind(m, i)) {
			turn_off(m);
			return;
		}
	}
	if (!m->used)
		return;
	iommu_irq_message(m->routes, &address, &data);
	config_write(m, at + 4, 4, (u32)address);
	if (m->wide)
		config_write(m, at + 8, 4, (u32)(address >> 32));
	config_write(m, at + data_reg, 2, data);
	config_write(m, at + PCI_MSI_CONTROL, 2,
		     PCI_MSI_ENABLE | (u32)__builtin_ctz(m->used) << PCI_MSI_ENABLED_SHIFT);
}

void vmsi_update(struct vmsi *m)
{
	u32 msi, msix, n = 0;

	if (!m)
		return;
	msi = m->messages ? msi_reg(m, 0) >> 16 : 0;
	msix = m->entries ? m->v->reg[m->v->f->msix / 4].value >> 16 : 0;
	if ((msi & PCI_MSI_ENABLE) && !(msix & PCI_MSIX_ENABLE))
		n = min(1U << (msi >> PCI_MSI_ENABLED_SHIFT & 7), m->messages);
	if (n != m->wanted || ((msix ^ m->msix) & PCI_MSIX_ENABLE)) {
		turn_off(m);
		m->wanted = n;
		/* Without remapping, the vectors of several would have to follow each other. */
		if (n && !allocate(m, 0, n))
			m->used = m->routes->unit ? n : 1;
	}
	if (n)
		update_msi(m);
	else if (msix != m->msix)
		update_msix(m, (u16)msix);
}

/* Finds what a register of the table's pages is: words of entry *i, or NULL, the device's own. */
static u32 *find_entry(struct vmsi *m, u64 offset, unsigned *i)
{
	u64 at = offset - (m->offset & ~PAGE_MASK);

	*i = (unsigned)index_nospec(at / PCI_MSIX_ENTRY, m->entries);
	return at / PCI_MSIX_ENTRY < m->entries ? &m->msg[*i].word[at / 4 % ENTRY_WORDS] : NULL;
}

static u64 table_read(struct vcpu *v __unused, struct mmio_region *r, u64 offset, unsigned size)
{
	struct vmsi *m = container_of(r, struct vmsi, table);
	const u32 *word;
	unsigned i;

	guard(&pci_lock);
	if (offset % size || !m->regs)
		return ~0UL;
	word = find_entry(m, offset, &i);
	if (!word)
		return device_read(m->regs + offset, size);
	return (*word | (size == 8 ? (u64)word[1] << 32 : 0)) >> offset % 4 * 8;
}

static void table_write(struct vcpu *v __unused, struct mmio_region *r, u64 offset, unsigned size,
			u64 val)
{
	struct vmsi *m = container_of(r, struct vmsi, table);
	unsigned i;
	u32 *word;

	guard(&pci_lock);
	if (offset % size || !m->regs)
		return;
	word = find_entry(m, offset, &i);
	if (!word) {
		device_write(m->regs + offset, size, val);
		return;
	}
	if (size < 4)	/* PCI 3.0, 6.8.2: undefined */
		return;
	for (; size; size -= 4, val >>= 32, word++)
		WRITE_ONCE(*word, (u32)val & writable[word - m->msg[i].word]);
	update_entry(m, i);
}

bool vmsi_has_table(const struct vmsi *m, unsigned i, u64 offset, u64 size)
{
	u64 first = m ? m->offset & PAGE_MASK : 0;

	return m && m->entries && m->bar == i && offset < first + m->table.size &&
	       first < offset + size;
}

/* Maps the table's pages where the device has them now. */
static void map_table(struct vmsi *m)
{
	struct pci_function *f = m->v->f;
	paddr_t page = (f->bar[m->bar].base + m->offset) & PAGE_MASK;

	if (f->msix_page != page) {
		f->msix_regs = map_mmio(page, m->table.size);
		f->msix_page = f->msix_regs ? page : 0;
	}
	m->regs = f->msix_regs;
}

void vmsi_move_table(struct vmsi *m, unsigned i, gpaddr_t gpa)
{
	if (!vmsi_has_table(m, i, 0, ~0UL))
		return;
	if (m->table.base)
		mmio_remove(m->v->d, &m->table);
	m->table.base = gpa ? gpa + (m->offset & PAGE_MASK) : 0;
	if (!gpa)
		return;
	map_table(m);
	mmio_add(m->v->d, &m->table);
	vpci_unmap(m->v->d, m->table.base, m->table.size);
}

/* Finds the MSI-X table. A device may say nonsense: then nobody can use its MSI-X. 0 or -ENOMEM. */
static int find_table(struct vmsi *m, unsigned entries)
{
	struct pci_function *f = m->v->f;
	u32 where = pci_read(f->sbdf, f->msix + PCI_MSIX_TABLE, 4);
	u64 size = entries * PCI_MSIX_ENTRY;
	const struct pci_bar *b;

	m->bar = where & PCI_MSIX_BAR;
	m->offset = where & ~PCI_MSIX_BAR;
	b = &f->bar[min(m->bar, (u8)(PCI_BARS - 1))];
	if (m->bar >= PCI_BARS || b->io || !b->base || m->offset + size > b->size)
		return 0;
	m->table.size = ALIGN_UP((m->offset & ~PAGE_MASK) + size, PAGE_SIZE);
	m->table.read = table_read;
	m->table.write = table_write;
	m->entries = entries;
	map_table(m);
	return m->regs ? 0 : -ENOMEM;
}

/* The enabling bits and the messages are virtual, mask and pending bits the device's. */
static void msi_rules(const struct vmsi *m, u32 control)
{
	unsigned msi = m->v->f->msi, data = msi + (m->wide ? 12 : 8);
	u32 enabling = (PCI_MSI_ENABLE | 7U << PCI_MSI_ENABLED_SHIFT) << 16;

	vpci_rule(m->v, msi, ~0U, enabling, enabling);
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
	unsigned messages = f->msi ? 1U << min(control >> PCI_MSI_CAPABLE_SHIFT & 7, 5U) : 0;
	unsigned entries = 0, n;
	struct vmsi *m;
	int rc = 0;

	if (f->msix)
		entries = (pci_read(f->sbdf, f->msix + PCI_MSIX_CONTROL, 2) & PCI_MSIX_SIZE) + 1;
	n = max(messages, entries);
	if (!n)
		return 0;
	m = v->msi = kzalloc(sizeof(*m) + n * sizeof(m->msg[0]));
	if (!m)
		return -ENOMEM;
	*m = (struct vmsi){ .v = v, .messages = messages, .wide = control & PCI_MSI_64, .n = n };
	m->routes = kzalloc(n * sizeof(m->routes[0]));
	if (!m->routes)
		return -ENOMEM;
	for (unsigned i = 0; i < n; i++) {
		struct message *g = &m->msg[i];

		*g = (struct message){ .v = v, .word[CONTROL] = ENTRY_MASKED };
		g->irq[0] = g->irq[1] = (struct message_irq){
			{ .fn = handler, .user = v->d->hardware ? NULL : v->d }, g
		};
	}
	turn_off(m);
	if (messages)
		msi_rules(m, control);
	if (entries) {
		rc = find_table(m, entries);
		enabling = m->entries ? (PCI_MSIX_ENABLE | PCI_MSIX_MASK_ALL) << 16 : 0;
		vpci_rule(v, f->msix, ~0U, enabling, enabling);
	}
	return rc;
}

void vmsi_stop(struct vmsi *m)
{
	if (!m)
		return;
	turn_off(m);
	m->regs = NULL;
}

void vmsi_free(struct vmsi *m)
{
	if (m)
		kfree(m->routes);
	kfree(m);
}
