/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Tells xenstore of domains that Xen's tools did not create, or that a former control domain created:
 * what libxl would have written, so that xl has names for them and xenconsoled serves their consoles.
 * A domain whose destruction a former control domain did not finish is destroyed.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include <xencall.h>	/* first: the next headers need it */
#define __XEN_TOOLS__ 1
#include <xen/domctl.h>
#include <xen/grant_table.h>
#include <xen/hvm/params.h>
#include <xenstore.h>

#include "mgctl.h"

#define CONSOLE_LIMIT "1048576"	/* libxl's */
#define STORE_PFN 0xfeffcU	/* libxl's, in a PVH domain */

struct adoption {
	struct mgctl *m;
	struct xs_handle *xs;
	xs_transaction_t t;
	bool failed;
	uint32_t id;
	struct xen_domctl_getdomaininfo info;
	char name[32], uuid[UUID_TEXT];
	uint64_t console_pfn, console_port, store_pfn, store_port;
};

static int domctl(struct adoption *a, uint32_t cmd, uint32_t id, struct xen_domctl *op)
{
	op->cmd = cmd;
	op->interface_version = XEN_DOMCTL_INTERFACE_VERSION;
	op->domain = (domid_t)id;
	return xen_domctl(a->m, op, sizeof(*op));
}

/* Writes a node whose path and value are formats; its owner is the control domain. */
static void node(struct adoption *a, const char *value, const char *path, ...)
	__attribute__((format(printf, 3, 4)));

static void node(struct adoption *a, const char *value, const char *path, ...)
{
	char text[160];
	va_list ap;

	va_start(ap, path);
	vsnprintf(text, sizeof(text), path, ap);
	va_end(ap);
	if (!xs_write(a->xs, a->t, text, value, (unsigned int)strlen(value)))
		a->failed = true;
}

static const char *number(char *buffer, uint64_t value)
{
	snprintf(buffer, 21, "%llu", (unsigned long long)value);
	return buffer;
}

/* Lets the domain read a node, or own it: write it, too. */
static void permit(struct adoption *a, bool own, const char *path)
{
	struct xs_permissions p[2] = { { own ? a->id : 0, XS_PERM_NONE }, { a->id, XS_PERM_READ } };
	char text[160];

	snprintf(text, sizeof(text), "/local/domain/%u%s", a->id, path);
	if ((own && !xs_mkdir(a->xs, a->t, text)) ||
	    !xs_set_permissions(a->xs, a->t, text, p, own ? 1 : 2))
		a->failed = true;
}

/* What a domain with a connection to xenstore looks for. */
static void write_shared(struct adoption *a)
{
	static const char *const own[] = { "/control/shutdown", "/control/feature-poweroff",
					   "/control/feature-reboot", "/control/sysrq", "/data",
					   "/drivers", "/feature", "/attr", "/error" };

	for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++)
		permit(a, true, own[i]);
	permit(a, false, "");
	permit(a, false, "/control");
	permit(a, false, "/memory");
	permit(a, false, "/name");
}

static void write_console(struct adoption *a)
{
	char n[21];

	node(a, "", "/local/domain/%u/console/tty", a->id);
	node(a, "xenconsoled", "/local/domain/%u/console/type", a->id);
	node(a, "pty", "/local/domain/%u/console/output", a->id);
	node(a, CONSOLE_LIMIT, "/local/domain/%u/console/limit", a->id);
	node(a, number(n, a->console_port), "/local/domain/%u/console/port", a->id);
	node(a, number(n, a->console_pfn), "/local/domain/%u/console/ring-ref", a->id);
}

static void write_all(struct adoption *a)
{
	char text[64], n[21];

	snprintf(text, sizeof(text), "/vm/%s", a->uuid);
	node(a, text, "/local/domain/%u/vm", a->id);
	node(a, a->name, "/local/domain/%u/name", a->id);
	node(a, number(n, a->id), "/local/domain/%u/domid", a->id);
	node(a, number(n, a->info.max_pages * 4), "/local/domain/%u/memory/static-max", a->id);
	node(a, number(n, a->info.tot_pages * 4), "/local/domain/%u/memory/target", a->id);
	node(a, a->name, "/vm/%s/name", a->uuid);
	node(a, a->uuid, "/vm/%s/uuid", a->uuid);
	node(a, number(n, (uint64_t)time(NULL)), "/vm/%s/start_time", a->uuid);
	node(a, "pvh", "/libxl/%u/type", a->id);
	node(a, "", ADOPTED, a->id);
	if (a->console_pfn && a->console_port)
		write_console(a);
	if (a->store_pfn && a->store_port)
		write_shared(a);
}

void uuid_text(char text[UUID_TEXT], const uint8_t bytes[16])
{
	for (int i = 0; i < 16; i++)
		text += sprintf(text, "%s%02x", i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "",
				bytes[i]);
}

/* Gives a domain without a UUID a random one (RFC 4122, version 4), and puts it into text. */
static int find_uuid(struct adoption *a)
{
	static const uint8_t none[16];
	struct xen_domctl op = { 0 };
	uint8_t *u = op.u.setdomainhandle.handle;
	int rc = 0;

	memcpy(u, a->info.handle, sizeof(none));
	if (!memcmp(u, none, sizeof(none))) {
		if (getrandom(u, sizeof(none), 0) != sizeof(none))
			return -EIO;
		u[6] = (uint8_t)((u[6] & 0x0f) | 0x40);
		u[8] = (uint8_t)((u[8] & 0x3f) | 0x80);
		memcpy(a->info.handle, u, sizeof(none));
		rc = domctl(a, XEN_DOMCTL_setdomainhandle, a->id, &op);
	}
	uuid_text(a->uuid, a->info.handle);
	return rc;
}

static void find_facts(struct adoption *a)
{
	struct margay_op op = { .cmd = MARGAY_STAT };

	op.u.stat.domain = a->id;
	op.u.stat.index = MARGAY_STAT_WHOLE;
	snprintf(a->name, sizeof(a->name), "d%u", a->id);
	if (!a->m->call(a->m, &op) && op.name[0])
		snprintf(a->name, sizeof(a->name), "%.31s", op.name);
	a->console_pfn = xen_hvm_param(a->m, a->id, HVM_PARAM_CONSOLE_PFN);
	a->console_port = xen_hvm_param(a->m, a->id, HVM_PARAM_CONSOLE_EVTCHN);
	a->store_pfn = xen_hvm_param(a->m, a->id, HVM_PARAM_STORE_PFN);
	a->store_port = xen_hvm_param(a->m, a->id, HVM_PARAM_STORE_EVTCHN);
}

static int failed(struct adoption *a, const char *what, int rc)
{
	say(a->m->err, "mgctl: domain %u: %s: %s", a->id, what, strerror(-rc));
	return rc;
}

/*
 * xenstored tells xenconsoled and others only of the ends of domains that have a connection to it. So
 * each gets one, as libxl would have made it: a page, granted to the control domain, and a port. What
 * already runs in the domain does not look for them.
 */
static int give_store(struct adoption *a)
{
	struct xen_domctl op = { .u.max_mem.max_memkb = (a->info.max_pages + 1) * 4 };
	int port, rc;

	if ((rc = domctl(a, XEN_DOMCTL_max_mem, a->id, &op)) ||
	    (rc = xen_add_page(a->m, a->id, STORE_PFN)))
		return failed(a, "no page for xenstore", rc);
	if ((rc = xen_grant_page(a->m, a->id, GNTTAB_RESERVED_XENSTORE, STORE_PFN)))
		return failed(a, "its grant table has no place for xenstore's page", rc);
	if ((port = xen_alloc_port(a->m, a->id)) < 0)
		return failed(a, "no port for xenstore", port);
	if ((rc = xen_set_hvm_param(a->m, a->id, HVM_PARAM_STORE_EVTCHN, (uint64_t)port)) ||
	    (rc = xen_set_hvm_param(a->m, a->id, HVM_PARAM_STORE_PFN, STORE_PFN)))
		return failed(a, "it cannot be told of xenstore", rc);
	a->store_port = (uint64_t)port;
	a->store_pfn = STORE_PFN;
	return 0;
}

/* Connects a domain to xenstored. */
static void introduce(struct adoption *a)
{
	if ((a->store_pfn && a->store_port) || !give_store(a))
		if (!xs_introduce_domain(a->xs, a->id, a->store_pfn, (unsigned int)a->store_port))
			failed(a, "xenstored does not reach it", -errno);
}

static bool is_known(struct adoption *a)
{
	char path[48];
	void *name;

	snprintf(path, sizeof(path), "/local/domain/%u/name", a->id);
	name = xs_read(a->xs, XBT_NULL, path, NULL);
	free(name);
	return name != NULL;
}

static int adopt_one(struct adoption *a)
{
	int rc = find_uuid(a);

	if (rc)
		return rc;
	find_facts(a);
	do {
		a->failed = false;
		a->t = xs_transaction_start(a->xs);
		if (a->t == XBT_NULL)
			return -errno;
		write_all(a);
		if (a->failed) {
			rc = -errno;
			xs_transaction_end(a->xs, a->t, true);
			return rc;
		}
	} while (!xs_transaction_end(a->xs, a->t, false) && errno == EAGAIN);
	introduce(a);
	fprintf(a->m->out, "%5u %s\n", a->id, a->name);
	return 0;
}

/* Forgets what an earlier adoption wrote about a domain that is gone. */
static void forget(struct adoption *a, const char *id)
{
	char path[64];
	char *vm;

	snprintf(path, sizeof(path), "/local/domain/%s/vm", id);
	vm = xs_read(a->xs, XBT_NULL, path, NULL);
	if (vm && !strncmp(vm, "/vm/", 4))
		xs_rm(a->xs, XBT_NULL, vm);
	free(vm);
	snprintf(path, sizeof(path), "/libxl/%s", id);
	xs_rm(a->xs, XBT_NULL, path);
	snprintf(path, sizeof(path), "/local/domain/%s", id);
	xs_rm(a->xs, XBT_NULL, path);
}

/* xl removes the nodes of a domain that it destroys; a guest of Margay's own may end by itself. */
static void forget_gone(struct adoption *a)
{
	unsigned int n = 0;
	char **ids = xs_directory(a->xs, XBT_NULL, "/local/domain", &n);

	for (unsigned int i = 0; ids && i < n; i++) {
		struct xen_domctl op = { 0 };
		uint32_t id = (uint32_t)strtoul(ids[i], NULL, 10);
		int rc = id ? domctl(a, XEN_DOMCTL_getdomaininfo, id, &op) : 0;

		if (id && (rc == -ESRCH || (!rc && op.domain != id)))
			forget(a, ids[i]);
	}
	free(ids);
}

static int adopt_all(struct adoption *a)
{
	int rc = 0, one;

	for (a->id = 1; a->id < DOMAINS_END; a->id++) {
		struct xen_domctl op = { 0 };

		one = domctl(a, XEN_DOMCTL_getdomaininfo, a->id, &op);
		if (one == -ESRCH)
			break;
		if (!one) {
			a->id = op.domain;
			a->info = op.u.getdomaininfo;
			if (a->info.flags & XEN_DOMINF_dying)
				one = domctl(a, XEN_DOMCTL_destroydomain, a->id, &op);
			else if (!is_known(a))
				one = adopt_one(a);
		}
		if (one && one != -ESRCH)
			rc = one;
		if (one == -EACCES || one == -EPERM || one == -ENOSYS)
			break;
	}
	return rc;
}

int do_adopt(struct mgctl *m, bool follow)
{
	struct adoption a = { .m = m, .xs = xs_open(0) };
	int rc;

	if (!a.xs)
		return no_access(m, "xenstored does not answer");
	forget_gone(&a);
	rc = adopt_all(&a);
	fflush(m->out);
	if (rc)
		say(m->err, "mgctl: not all domains could be adopted: %s", strerror(-rc));
	rc = rc ? MGCTL_REFUSED : follow ? watch_unfinished(m, a.xs) : MGCTL_OK;
	xs_close(a.xs);
	return rc;
}
