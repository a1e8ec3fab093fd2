/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Memory of the machine's devices and firmware in the control domain that has the devices. It is
 * mapped at its own address when the domain touches it first, so nobody needs to know where devices
 * are. Never mapped: RAM, and what Margay drives or emulates itself.
 */
#include <margay/boot_state.h>
#include <margay/iommu.h>
#include <margay/pci.h>
#include <x86/features.h>
#include <x86/hardware.h>
#include <x86/mmio.h>
#include <x86/platform.h>
#include <x86/vlapic.h>

#define MSI_SIZE (1UL << 20)		/* SDM 3A 11.11.1 */
#define HPET_SIZE 0x1000UL

static bool touch(paddr_t a, u64 a_size, paddr_t b, u64 b_size)
{
	return a < b + b_size && b < a + a_size;
}

/* Returns whether Margay uses or emulates some of it: APICs, IOMMUs, config space and others. */
static bool is_margays(paddr_t at, u64 size)
{
	const struct acpi_info *a = &boot_acpi;

	if (touch(at, size, VLAPIC_BASE, MSI_SIZE) || uart_in_memory(at, size) ||
	    iommu_in_memory(at, size) || (a->hpet_base && touch(at, size, a->hpet_base, HPET_SIZE)))
		return true;
	for (unsigned i = 0; i < a->nr_ioapics; i++)
		if (touch(at, size, a->ioapics[i].base, PAGE_SIZE))
			return true;
	for (unsigned i = 0; i < a->nr_ecam; i++)
		if (touch(at, size, a->ecam[i].base, a->ecam[i].size))
			return true;
	return false;
}

static bool has_ram(paddr_t at, u64 size)
{
	for (unsigned i = 0; i < boot_info.nr_mem; i++) {
		const struct mem_range *m = &boot_info.mem[i];

		if ((m->type == MEM_RAM || m->type == MEM_UNCACHED || m->type == MEM_UNUSABLE) &&
		    touch(at, size, m->base, m->size))
			return true;
	}
	return false;
}

bool memory_is_devices(const struct domain *d, const struct pci_function *f, paddr_t at, u64 size)
{
	return at + size > at && !((at + size - 1) >> x86.phys_bits) && !has_ram(at, size) &&
	       !is_margays(at, size) && pci_memory_is_free(d, f, at, size);
}

static bool is_emulated(const struct domain *d, paddr_t at, u64 size)
{
	const struct mmio_region *r;

	for (r = READ_ONCE(d->mmio); r; r = READ_ONCE(r->next))
		if (touch(at, size, r->base, r->size))
			return true;
	return false;
}

bool hardware_map(struct vcpu *v, gpaddr_t gpa)
{
	struct domain *d = v->domain;

	guard(&pci_lock);
	for (unsigned order = 9;; order = 0) {
		u64 size = PAGE_SIZE << order;
		paddr_t at = ALIGN_DOWN(gpa, size);
		int rc = -EBUSY;

		if (memory_is_devices(d, NULL, at, size) && !is_emulated(d, at, size))
			rc = p2m_map_device(d, at >> PAGE_SHIFT, order);
		else if (!order)
			return false;
		if (rc == -ENOMEM)
			domain_crash(d, v, "no memory for page tables");
		/* -EINVAL: another vCPU was faster. */
		if (rc != -EBUSY || !order)
			return true;
	}
}
