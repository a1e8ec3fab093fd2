/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Gives a guest that Xen's tools have made, and that has not run yet, a PCI bus with empty slots:
 * Margay emulates it, and the guest's ACPI tables say so from then on. libxl puts the RSDP behind its
 * tables or, for kernels that do not find it there, below 1 MiB, and in front of the tables a page
 * with information, most of which is free. ACPI 6.4, 5.2.
 */
#include <errno.h>
#include <string.h>

#include <xencall.h>	/* first: the next header needs it */
#define __XEN_TOOLS__ 1
#include <xen/domctl.h>

#include <public/guest_pci.h>

#include "mgctl.h"

#define PAGE 4096U
#define RSDP_SIZE 64U
#define LOW_PAGE 0xffU /* the RSDP is at its end, or at the start of one behind INFO_PAGE */
#define INFO_PAGE 0xfc000U
#define TABLE_PAGES 17U		/* at most, with the RSDP's */
#define FREE_OFFSET 2048U	/* in that page */
#define ENTRIES_MAX 16U

struct header {
	char signature[4];
	uint32_t length;
	uint8_t revision, checksum;
	char oem_id[6], oem_table_id[8];
	uint32_t oem_revision;
	char creator_id[4];
	uint32_t creator_revision;
} __attribute__((packed));

struct rsdp {
	char signature[8];
	uint8_t checksum;
	char oem_id[6];
	uint8_t revision;
	uint32_t rsdt, length;
	uint64_t xsdt;
	uint8_t checksum_all, reserved[3];
} __attribute__((packed));

/* What is added, in the free part of the information page. */
struct tables {
	struct {
		struct header header;
		uint8_t aml[sizeof(guest_pci_aml)];
	} __attribute__((packed)) ssdt;
	struct {
		struct header header;
		struct guest_pci_mcfg bridge;
	} __attribute__((packed)) mcfg __attribute__((aligned(16)));
	struct {
		struct header header;
		uint64_t entry[ENTRIES_MAX];
	} __attribute__((packed)) xsdt __attribute__((aligned(16)));
};
#define AT(table) (INFO_PAGE * (uint64_t)PAGE + FREE_OFFSET + offsetof(struct tables, table))

static uint8_t checksum(const void *p, size_t n)
{
	uint8_t sum = 0;

	while (n--)
		sum = (uint8_t)(sum + ((const uint8_t *)p)[n]);
	return (uint8_t)-sum;
}

/* Fills in a table's header, much of which is like another's. */
static void finish(struct header *h, const struct header *like, const char *signature, size_t size)
{
	*h = *like;
	memcpy(h->signature, signature, 4);
	h->length = (uint32_t)size;
	h->revision = signature[0] == 'S' ? 2 : 1;
	h->checksum = 0;
	h->checksum = checksum(h, size);
}

static void describe(struct tables *t, struct rsdp *r, const struct header *xsdt,
		     const struct margay_op *bus)
{
	const uint64_t size = bus->u.bus.high_size, high = bus->u.bus.high;
	const uint64_t window[] = { high, high + size - 1, 0, size };
	size_t n = (xsdt->length - sizeof(*xsdt)) / 8;

	memcpy(t->ssdt.aml, guest_pci_aml, sizeof(guest_pci_aml));
	memcpy(t->ssdt.aml + GUEST_PCI_HIGH, window, sizeof(window));
	finish(&t->ssdt.header, xsdt, "SSDT", sizeof(t->ssdt));
	t->mcfg.bridge.base = GUEST_PCI_ECAM;
	t->mcfg.bridge.last = GUEST_PCI_SLOTS;
	finish(&t->mcfg.header, xsdt, "MCFG", sizeof(t->mcfg));
	memcpy(t->xsdt.entry, xsdt + 1, 8 * n);
	t->xsdt.entry[n] = AT(ssdt);
	t->xsdt.entry[n + 1] = AT(mcfg);
	finish(&t->xsdt.header, xsdt, "XSDT", sizeof(*xsdt) + 8 * (n + 2));
	r->xsdt = AT(xsdt);
	r->checksum_all = 0;
	r->checksum_all = checksum(r, sizeof(*r));
}

/* Maps the page with the RSDP. Returns the RSDP; NULL: there is none. */
static struct rsdp *map_rsdp(struct mgctl *m, uint32_t domain, void **page)
{
	for (unsigned int i = 0; i <= TABLE_PAGES; i++) {
		uint8_t *r = *page = xen_map_pages(m, domain, i ? INFO_PAGE + i : LOW_PAGE, 1);

		if (!r)
			return NULL;
		r += i ? 0 : PAGE - RSDP_SIZE;
		if (!memcmp(r, "RSD PTR ", 8) && !checksum(r, sizeof(struct rsdp)))
			return (struct rsdp *)r;
		m->unmap(m, *page, 1);
	}
	return NULL;
}

/* Returns whether the XSDT, of which size bytes are mapped, is sound and has room for two more. */
static bool is_xsdt(const struct header *h, size_t size)
{
	return size >= sizeof(*h) && !memcmp(h->signature, "XSDT", 4) && h->length <= size &&
	       h->length >= sizeof(*h) && (h->length - sizeof(*h)) / 8 <= ENTRIES_MAX - 2 &&
	       !checksum(h, h->length);
}

static bool is_free(const uint8_t *p)
{
	for (size_t i = 0; i < sizeof(struct tables); i++)
		if (p[i])
			return false;
	return true;
}

static int has_run(struct mgctl *m, uint32_t domain)
{
	struct xen_domctl op = { .cmd = XEN_DOMCTL_getdomaininfo, .domain = (domid_t)domain,
				 .interface_version = XEN_DOMCTL_INTERFACE_VERSION };
	int rc = xen_domctl(m, &op, sizeof(op));

	if (rc || op.domain != domain)
		return -ESRCH;
	return op.u.getdomaininfo.cpu_time ? -EALREADY : 0;
}

/* The tables are mapped: extends them if they are as libxl makes them. */
static int extend(struct mgctl *m, uint32_t domain, struct rsdp *r, const uint8_t *xsdt,
		  size_t size, uint8_t *info)
{
	struct margay_op op = { .cmd = MARGAY_PCI_BUS, .u.bus.domain = domain };
	int rc = -ENOEXEC;

	if (is_xsdt((const struct header *)xsdt, size) && is_free(info + FREE_OFFSET))
		rc = m->call(m, &op);
	if (!rc)
		describe((struct tables *)(info + FREE_OFFSET), r, (const struct header *)xsdt,
			 &op);
	return rc;
}

int add_pci_bus(struct mgctl *m, uint32_t domain)
{
	void *low, *info = NULL;
	uint8_t *tables = NULL;
	uint32_t at, pages = 1;
	struct rsdp *r;
	int rc = has_run(m, domain);

	if (rc)
		return rc;
	r = map_rsdp(m, domain, &low);
	if (!r)
		return -ENOEXEC;
	at = r->xsdt % PAGE;
	pages += at > PAGE - sizeof(((struct tables *)0)->xsdt);
	info = xen_map_pages(m, domain, INFO_PAGE, 1);
	tables = xen_map_pages(m, domain, r->xsdt / PAGE, pages);
	rc = info && tables ? extend(m, domain, r, tables + at, pages * PAGE - at, info) : -ENOEXEC;
	if (tables)
		m->unmap(m, tables, pages);
	if (info)
		m->unmap(m, info, 1);
	m->unmap(m, low, 1);
	return rc;
}
