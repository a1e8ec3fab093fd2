/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The IO-APICs of the domain that has the machine's devices: an emulated one at the place of each of
 * the machine's. When the guest unmasks an entry, the pin gets a vector of Margay's on the CPU of the
 * vCPU that the entry names, and stays bound to it. A level-triggered pin is masked from the time it
 * fires to the guest's EOI. Entries of pins that Margay keeps have no effect. The lock of each
 * serializes the machine's IO-APIC, too. Intel 82093AA, 3.
 */
#include <margay/acpi.h>
#include <margay/domain_parts.h>
#include <margay/iommu.h>
#include <margay/pci.h>
#include <x86/apic.h>
#include <x86/irq.h>
#include <x86/mmio.h>
#include <x86/platform.h>
#include <x86/vioapic.h>
#include <x86/vlapic.h>

enum { IOREGSEL = 0x00, IOWIN = 0x10, IOAPIC_SIZE = 0x400 };
enum { IOAPICID = 0, IOAPICVER = 1, IOAPICARB = 2, IOREDTBL = 0x10 };

#define VERSION 0x11U	/* without an EOI register */
#define ID_SHIFT 24
#define ID_MASK 0xf000000U
#define DEST_SHIFT 56
#define RTE_WRITABLE (0xffUL << DEST_SHIFT | RTE_MASKED | RTE_LEVEL | RTE_LOW | 0xfffU)

struct pin {
	struct irq irq;
	struct iommu_irq remap;
	struct vioapic *io;
	u64 rte;		/* as the guest wrote it */
	u32 low;		/* of the machine's entry, without the mask */
	u8 in_service;		/* vector of the level-triggered interrupt that awaits its EOI */
};

struct vioapic {
	struct mmio_region region;
	struct vioapic *next;
	struct domain *d;
	struct spinlock lock;	/* LOCK_IOAPIC */
	unsigned n;		/* the machine's number of it */
	u8 acpi_id, select;
	unsigned nr_pins;
	struct pin pins[];
};

static unsigned number(const struct pin *p)
{
	return (unsigned)(p - p->io->pins);
}

/* Returns whether the entry lets interrupts through that a vLAPIC can take from a pin. */
static bool is_open(const struct pin *p)
{
	u32 mode = p->rte & RTE_MODE;

	return !(p->rte & RTE_MASKED) && (mode == 0 || mode == RTE_LOWEST) && (u8)p->rte >= 16;
}

static void set_mask(const struct pin *p, bool masked)
{
	ioapic_set_low(p->io->n, number(p), p->low | (masked ? RTE_MASKED : 0));
}

/* Returns the message that the entry stands for; the bits of its data have the same places. */
static u64 address_of(u64 rte)
{
	return MSG_BASE | (rte >> DEST_SHIFT) << MSG_DEST_SHIFT |
	       (rte & RTE_LOGICAL ? MSG_LOGICAL : 0);
}

/* A device's interrupt, on the CPU to which the pin is bound. */
static void pin_fired(struct irq *i)
{
	struct pin *p = container_of(i, struct pin, irq);
	struct vioapic *io = p->io;
	bool level, deliver;
	u64 rte;

	spin_lock(&io->lock);
	rte = p->rte;
	level = rte & RTE_LEVEL;
	deliver = is_open(p) && !p->in_service;
	if (deliver && level)
		p->in_service = (u8)rte;
	if (!deliver || level)
		set_mask(p, true);
	spin_unlock(&io->lock);
	if (deliver)
		vlapic_message(io->d, address_of(rte), (u32)rte & (RTE_MODE | 0xff), level);
}

/* Gives the machine's entry what the guest's says. With the lock. */
static void update(struct pin *p)
{
	u32 flags = p->rte & (RTE_LEVEL | RTE_LOW);

	if (ioapic_is_kept(p->io->n, number(p)))
		return;
	if (!(p->rte & RTE_LEVEL))
		p->in_service = 0;
	if (!p->irq.cpu) {
		if (!is_open(p))
			return;
		if (irq_bind(&p->irq, housekeeping_cpu)) {	/* no vCPU ever owns it */
			pr_warn("%s: IO-APIC %u pin %u: no vector\n", p->io->d->name, p->io->n,
				number(p));
			return;
		}
		p->low = ~flags;
	}
	if ((p->low & (RTE_LEVEL | RTE_LOW)) != flags) {
		u64 rte;

		iommu_irq_route(&p->remap, p->irq.cpu->apic_id, p->irq.vector, flags & RTE_LEVEL);
		rte = iommu_irq_rte(&p->remap) | flags;
		p->low = (u32)rte;
		ioapic_set(p->io->n, number(p), rte | RTE_MASKED);
	}
	set_mask(p, !is_open(p) || p->in_service);
}

/* Returns the pin whose entry is selected, or NULL. */
static struct pin *find_pin(struct vioapic *io)
{
	u32 i = (io->select - (u32)IOREDTBL) / 2;

	return i < io->nr_pins ? &io->pins[index_nospec(i, io->nr_pins)] : NULL;
}

static u32 read_register(struct vioapic *io)
{
	const struct pin *p = find_pin(io);

	switch (io->select) {
	case IOAPICID:
	case IOAPICARB: return (u32)io->acpi_id << ID_SHIFT & ID_MASK;
	case IOAPICVER: return VERSION | (io->nr_pins - 1) << 16;
	}
	if (!p || (io->select & 1))
		return p ? (u32)(p->rte >> 32) : 0;
	return (u32)p->rte | (p->in_service ? RTE_REMOTE_IRR : 0);
}

static void vioapic_access(struct vcpu *v __unused, struct mmio_region *r, u64 offset,
			   unsigned size, u64 *val, bool write)
{
	struct vioapic *io = container_of(r, struct vioapic, region);
	unsigned shift;
	struct pin *p;

	guard(&io->lock);
	shift = io->select & 1 ? 32 : 0;
	p = find_pin(io);
	if (!write) {
		*val = offset == IOREGSEL ? io->select : offset == IOWIN ? read_register(io) : 0;
	} else if (offset == IOREGSEL) {
		io->select = (u8)*val;
	} else if (p && offset == IOWIN && size >= 4) {
		p->rte = (p->rte & ~(0xffffffffUL << shift)) | (u64)(u32)*val << shift;
		p->rte &= RTE_WRITABLE;
		update(p);
	}
}

void vioapic_eoi(struct domain *d, u8 vector)
{
	for (struct vioapic *io = d->vioapic; io; io = io->next) {
		guard(&io->lock);
		for (struct pin *p = io->pins; p < io->pins + io->nr_pins; p++) {
			if (p->in_service != vector)
				continue;
			p->in_service = 0;
			ioapic_end(io->n, number(p), p->low);
			set_mask(p, !is_open(p));
		}
	}
}

/* Returns 0, or the error of the remapping entry. */
static int init_pin(struct vioapic *io, struct pin *p)
{
	u32 sbdf;

	*p = (struct pin){ .io = io, .rte = RTE_MASKED, .irq.fn = pin_fired };
	/* Without such a source, there is no remapping on this machine. */
	if (ioapic_is_kept(io->n, number(p)) || iommu_ioapic_sbdf(io->acpi_id, &sbdf))
		return 0;
	guard(&pci_lock);
	return iommu_irq_alloc(&p->remap, sbdf);
}

static int vioapic_create(struct domain *d)
{
	const struct acpi_ioapic *a;
	unsigned pins;
	int rc = 0;

	for (unsigned n = 0; d->hardware && !rc && (a = ioapic_pins(n, &pins)); n++) {
		struct vioapic *io = kzalloc(sizeof(*io) + pins * sizeof(io->pins[0]));

		if (!io)
			return -ENOMEM;
		spin_init(&io->lock, LOCK_IOAPIC);
		io->d = d;
		io->n = n;
		io->acpi_id = a->id;
		io->nr_pins = pins;
		for (unsigned i = 0; i < pins && !rc; i++)
			rc = init_pin(io, &io->pins[i]);
		io->region = (struct mmio_region){ NULL, a->base, IOAPIC_SIZE, vioapic_access };
		mmio_add(d, &io->region);
		io->next = d->vioapic;
		d->vioapic = io;
	}
	return rc;
}

/*
 * Takes the pins back. irq_unbind() waits for pin_fired(), which takes the lock. Nobody looks for
 * regions any more, and the list has some that are gone.
 */
static int vioapic_destroy(struct domain *d)
{
	struct vioapic *io;

	while ((io = d->vioapic)) {
		for (struct pin *p = io->pins; p < io->pins + io->nr_pins; p++) {
			iommu_irq_free(&p->remap);
			if (!p->irq.cpu)
				continue;
			spin_lock(&io->lock);
			p->rte = RTE_MASKED;
			p->in_service = 0;
			set_mask(p, true);
			spin_unlock(&io->lock);
			irq_unbind(&p->irq);
			ioapic_end(io->n, number(p), p->low);
		}
		d->vioapic = io->next;
		kfree(io);
	}
	return 0;
}

const struct domain_part vioapic_part = { .create = vioapic_create, .destroy = vioapic_destroy };
