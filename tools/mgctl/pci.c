/* SPDX-License-Identifier: BSD-2-Clause */
/* The pci commands: lists PCI functions, gives them to domains and takes them back. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "mgctl.h"

#define FUNCTIONS_MAX 65536U
#define POLL_MS 100U

/* Writes segment:bus:device.function. */
static const char *address(uint32_t sbdf, char text[16])
{
	snprintf(text, 16, "%04x:%02x:%02x.%x", sbdf >> 16, sbdf >> 8 & 0xff, sbdf >> 3 & 0x1f,
		 sbdf & 7);
	return text;
}

static const char *state(const struct margay_op *op)
{
	return op->u.pci.flags & MARGAY_PCI_HIDDEN   ? "Margay's" :
	       op->u.pci.flags & MARGAY_PCI_BRIDGE   ? "bridge" :
	       op->u.pci.flags & MARGAY_PCI_RESERVED ? "boot guest's" :
	       op->u.pci.physfn != op->u.pci.sbdf    ? "virtual" :
						       "";
}

static void print_function(FILE *f, const struct margay_op *op)
{
	char at[16], seen[16] = "-", owner[8] = "-", node[12] = "-";

	if (op->u.pci.domain != MARGAY_NONE)
		snprintf(owner, sizeof(owner), "%u", op->u.pci.domain);
	if (op->u.pci.seen_at != ~0U)
		address(op->u.pci.seen_at, seen);
	if (op->u.pci.node != MARGAY_NO_NODE)
		snprintf(node, sizeof(node), "%u", op->u.pci.node);
	fprintf(f, "%-13s %04x:%04x %06x %6s %-13s", address(op->u.pci.sbdf, at), op->u.pci.vendor,
		op->u.pci.device, op->u.pci.class_code, owner, seen);
	fprintf(f, " %-13s %10llu %8llu %4s %s\n", address(op->u.pci.group, at),
		(unsigned long long)op->u.pci.interrupts, (unsigned long long)op->u.pci.refused,
		node, state(op));
}

static void json_function(struct json *j, const struct margay_op *op)
{
	char text[16];

	json_begin(j, NULL, '{');
	json_text(j, "function", address(op->u.pci.sbdf, text), sizeof(text));
	json_number(j, "vendor", op->u.pci.vendor);
	json_number(j, "device", op->u.pci.device);
	json_number(j, "class", op->u.pci.class_code);
	if (op->u.pci.domain != MARGAY_NONE)
		json_number(j, "domain", op->u.pci.domain);
	if (op->u.pci.seen_at != ~0U)
		json_text(j, "seen_at", address(op->u.pci.seen_at, text), sizeof(text));
	json_text(j, "group", address(op->u.pci.group, text), sizeof(text));
	if (op->u.pci.node != MARGAY_NO_NODE)
		json_number(j, "node", op->u.pci.node);
	if (op->u.pci.physfn != op->u.pci.sbdf)
		json_text(j, "physfn", address(op->u.pci.physfn, text), sizeof(text));
	json_bool(j, "hidden", op->u.pci.flags & MARGAY_PCI_HIDDEN);
	json_bool(j, "bridge", op->u.pci.flags & MARGAY_PCI_BRIDGE);
	json_bool(j, "reserved", op->u.pci.flags & MARGAY_PCI_RESERVED);
	json_number(j, "interrupts", op->u.pci.interrupts);
	json_number(j, "refused", op->u.pci.refused);
	json_end(j, '}');
}

static int list(struct mgctl *m, const struct request *rq)
{
	struct json j = { .f = m->out };
	int rc = 0;

	if (rq->json) {
		json_begin(&j, NULL, '{');
		json_begin(&j, "functions", '[');
	} else {
		fputs("FUNCTION      ID        CLASS  DOMAIN SEEN AT       GROUP         INTERRUPTS"
		      "  REFUSED NODE\n",
		      m->out);
	}
	for (uint32_t i = 0; i < FUNCTIONS_MAX; i++) {
		struct margay_op op = { .cmd = MARGAY_PCI_LIST, .u.pci.index = i };

		rc = m->call(m, &op);
		if (rc)
			break;
		if (rq->json)
			json_function(&j, &op);
		else
			print_function(m->out, &op);
	}
	if (rq->json) {
		json_end(&j, ']');
		json_end(&j, '}');
		fputc('\n', m->out);
	}
	return rc == -ENOENT ? 0 : rc;
}

static const char *why(const struct request *rq, int rc)
{
	switch (-rc) {
	case ENODEV:
		return "there is no such function, or nobody may have it";
	case ENOENT:
		return "it has no owner";
	case ESRCH:
		return "there is no such domain";
	case EBUSY:
		return "it has an owner, or virtual functions (mgctl pci list, mgctl pci revoke)";
	case EXDEV:
		return "it cannot be isolated from another domain's (mgctl pci list: its group)";
	case EADDRNOTAVAIL:
		return "the domain has no PCI bus (the word `pci' of its boot module, or mgctl pci "
		       "bus), its memory comes on demand (maxmem above memory), or it migrates";
	case EOPNOTSUPP:
		return "no IOMMU isolates it, or firmware uses it";
	case ENXIO:
		return "it has no reset";
	case EINVAL:
		return "its BARs are not whole pages of its own memory";
	case EEXIST:
		return "it has one";
	case EALREADY:
		return "it has run already (xl create -p, then this, then xl unpause)";
	case ENOEXEC:
		return "it has one, or its ACPI tables are not libxl's";
	case E2BIG:
		return "it has RAM where the bus would be: more than 3 GiB";
	case EINTR:
		return "you interrupted it; the guest may still give it up";
	case ETIMEDOUT: return "it does not come back from its reset";
	}
	return rq->command == PCI_ASSIGN && rc == -ENOSPC ?
		       "the domain has no place for it, and nobody has it now" :
		       strerror(-rc);
}

/*
 * Asks the guest for the function until it has given it up. A guest that does not within the time,
 * or that nobody shall ask, loses it at once.
 */
static int take_away(struct mgctl *m, const struct request *rq)
{
	struct margay_op op = { .cmd = MARGAY_PCI_REVOKE, .u.pci.sbdf = rq->sbdf };
	char text[16];
	uint64_t waited;
	int rc;

	op.u.pci.flags = rq->force ? MARGAY_PCI_FORCE : 0;
	for (waited = 0; (rc = m->call(m, &op)) == -EAGAIN; waited += POLL_MS) {
		if (waited >= rq->seconds * 1000) {
			say(m->err, "mgctl: the guest does not give %s up: it is taken away",
			    address(rq->sbdf, text));
			op.u.pci.flags = MARGAY_PCI_FORCE;
		} else if (!m->wait(m, POLL_MS)) {
			return -EINTR;
		}
	}
	return rc == -ENOENT && waited ? 0 : rc;	/* the guest has ended meanwhile */
}

/*
 * Returns whether a driver of the kernel here uses the function, which then says so. Those that hold
 * functions for others do not.
 */
static bool in_use(struct mgctl *m, uint32_t sbdf)
{
	static const char *const holders[] = { "pciback", "xen-pciback", "pci-stub", "vfio-pci" };
	char at[16], path[256], driver[256];
	const char *name;
	ssize_t n;

	snprintf(path, sizeof(path), "%s/%s/driver", m->functions, address(sbdf, at));
	n = readlink(path, driver, sizeof(driver) - 1);
	if (n <= 0)
		return false;
	driver[n] = '\0';
	name = strrchr(driver, '/') ? strrchr(driver, '/') + 1 : driver;
	for (size_t i = 0; i < sizeof(holders) / sizeof(holders[0]); i++)
		if (!strcmp(name, holders[i]))
			return false;
	say(m->err,
	    "mgctl: the driver %s of this domain uses %s: unbind it (echo %s >%s/unbind), or --force",
	    name, at, at, path);
	return true;
}

int do_pci(struct mgctl *m, const struct request *rq)
{
	struct margay_op op = { .cmd = MARGAY_PCI_ASSIGN,
				.u.pci = { .sbdf = rq->sbdf, .domain = rq->domain } };
	char text[16];
	int rc;

	switch (rq->command) {
	case PCI_LIST:
		rc = list(m, rq);
		if (rc)
			say(m->err, "mgctl: Margay refused to list PCI functions: %s",
			    strerror(-rc));
		break;
	case PCI_BUS:
		rc = add_pci_bus(m, rq->domain);
		if (rc)
			say(m->err, "mgctl: domain %u gets no PCI bus: %s", rq->domain,
			    why(rq, rc));
		break;
	default:
		if (!rq->force && in_use(m, rq->sbdf))
			return MGCTL_REFUSED;
		rc = rq->command == PCI_ASSIGN ? m->call(m, &op) : take_away(m, rq);
		if (rc)
			say(m->err, "mgctl: Margay refused to %s %s: %s",
			    rq->command == PCI_ASSIGN ? "assign" : "revoke",
			    address(rq->sbdf, text), why(rq, rc));
	}
	return rc ? MGCTL_REFUSED : MGCTL_OK;
}
