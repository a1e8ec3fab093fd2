/* SPDX-License-Identifier: BSD-2-Clause */
/* See live.h. The note is in libxl's own directory of XenStore, which goes when the guest does. */
#include "live.h"
#include "stream.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <unistd.h>
#include <xenctrl.h>
#include <xenforeignmemory.h>
#include <xenstore.h>

#define AT_ONCE 1024u

/* libxenctrl has it, but no header that is installed. Changes each page number into its kind. 0 or -1. */
int xc_get_pfn_type_batch(xc_interface *xc, uint32_t domid, unsigned n, xen_pfn_t *pages);

struct live {
	uint32_t domid;
	xc_interface *xc;
	xenforeignmemory_handle *fmem;
	struct xs_handle *xs;
	char note[64];
};

struct live *live_open(uint32_t domid)
{
	struct live *l = calloc(1, sizeof(*l));

	if (!l) {
		chain_fail("no memory");
		return NULL;
	}
	l->domid = domid;
	l->xc = xc_interface_open(NULL, NULL, 0);
	l->fmem = xenforeignmemory_open(NULL, 0);
	l->xs = xs_open(0);
	snprintf(l->note, sizeof(l->note), "/libxl/%" PRIu32 "/checkpoint", domid);
	if (l->xc && l->fmem && l->xs)
		return l;
	chain_fail("the hypervisor or XenStore: %s", strerror(errno));
	live_close(l);
	return NULL;
}

void live_close(struct live *l)
{
	if (!l)
		return;
	if (l->xs)
		xs_close(l->xs);
	if (l->fmem)
		xenforeignmemory_close(l->fmem);
	if (l->xc)
		xc_interface_close(l->xc);
	free(l);
}

bool live_goes_on(struct live *l, struct chain *point)
{
	unsigned length;
	size_t size = 0;
	char *noted = xs_read(l->xs, XBT_NULL, l->note, &length);
	void *name = NULL;
	bool same = noted && chain_state(point, "log", &name, &size) > 0 && size == LIVE_NAME &&
		    length == LIVE_NAME - 1 && !memcmp(noted, name, length) &&
		    xc_logdirty_control(l->xc, l->domid, XEN_DOMCTL_SHADOW_OP_PEEK, NULL, 0, 0,
					NULL) >= 0;

	free(noted);
	free(name);
	return same;
}

int live_note(struct live *l, const char *name)
{
	bool done = name ? xs_write(l->xs, XBT_NULL, l->note, name, (unsigned)strlen(name)) :
			   xs_rm(l->xs, XBT_NULL, l->note);

	return done || (!name && errno == ENOENT) ?
		       0 :
		       chain_fail("XenStore: %s: %s", l->note, strerror(errno));
}

int live_name(char name[LIVE_NAME])
{
	uint64_t random[2];

	if (getrandom(random, sizeof(random), 0) != sizeof(random))
		return chain_fail("getrandom: %s", strerror(errno));
	snprintf(name, LIVE_NAME, "%016" PRIx64 "%016" PRIx64, random[0], random[1]);
	return 0;
}

int live_begin(struct live *l)
{
	return xc_logdirty_control(l->xc, l->domid, XEN_DOMCTL_SHADOW_OP_ENABLE_LOGDIRTY, NULL, 0,
				   0, NULL) < 0 ?
		       chain_fail("no log of dirty pages: %s", strerror(errno)) :
		       0;
}

int live_end(struct live *l)
{
	return xc_shadow_control(l->xc, l->domid, XEN_DOMCTL_SHADOW_OP_OFF, NULL, 0) < 0 ?
		       chain_fail("the log of dirty pages: %s", strerror(errno)) :
		       0;
}

/* Makes room for pages up to the guest's highest one. */
static int make_room(struct live *l, struct memory *m)
{
	uint64_t nr;
	uint8_t *has, *read;
	xen_pfn_t end;

	if (xc_domain_nr_gpfns(l->xc, l->domid, &end))
		return chain_fail("the guest's highest page: %s", strerror(errno));
	nr = (end + AT_ONCE - 1) / AT_ONCE * AT_ONCE;
	if (nr <= m->nr)
		return 0;
	has = realloc(m->has, nr / 8);
	m->has = has ? has : m->has;
	read = realloc(m->read, nr / 8);
	m->read = read ? read : m->read;
	if (!has || !read)
		return chain_fail("no memory");
	memset(has + m->nr / 8, 0, (nr - m->nr) / 8);
	memset(read + m->nr / 8, 0, (nr - m->nr) / 8);
	m->nr = nr;
	return 0;
}

/* Copies n pages to the file. A page may be none, or go meanwhile. */
static int read_pages(struct live *l, struct memory *m, const xen_pfn_t *gfns, unsigned n)
{
	int errors[AT_ONCE], rc = 0;
	char *pages;

	if (!n)
		return 0;
	pages = xenforeignmemory_map(l->fmem, l->domid, PROT_READ, n, gfns, errors);
	if (!pages)
		return chain_fail("mapping %u pages from %#" PRIx64 ": %s", n, (uint64_t)gfns[0],
				  strerror(errno));
	for (unsigned i = 0, same; i < n && !rc; i += same) {
		size_t size;

		/* Adjacent pages go together. */
		for (same = 1; i + same < n && !errors[i] && !errors[i + same] &&
			       gfns[i + same] == gfns[i] + same;)
			same++;
		size = (size_t)same * CHAIN_PAGE;
		if (errors[i])
			continue;
		if (pwrite(m->pages, pages + (size_t)i * CHAIN_PAGE, size,
			   (off_t)(gfns[i] * CHAIN_PAGE)) != (ssize_t)size)
			rc = chain_fail("the file of pages: %s", strerror(errno));
		for (unsigned j = 0; j < same; j++)
			m->read[gfns[i + j] / 8] |= (uint8_t)(1 << gfns[i + j] % 8);
	}
	xenforeignmemory_unmap(l->fmem, pages, n);
	return rc;
}

static int read_dirty(struct live *l, struct memory *m, unsigned mode)
{
	DECLARE_HYPERCALL_BUFFER(uint64_t, dirty);
	xen_pfn_t gfns[AT_ONCE];
	unsigned n = 0;
	int rc = make_room(l, m);

	if (rc)
		return rc;
	dirty = xc_hypercall_buffer_alloc_pages(l->xc, dirty,
						(m->nr / 8 + CHAIN_PAGE - 1) / CHAIN_PAGE);
	if (!dirty)
		return chain_fail("no memory");
	if (xc_logdirty_control(l->xc, l->domid, XEN_DOMCTL_SHADOW_OP_CLEAN,
				HYPERCALL_BUFFER(dirty), m->nr, mode, NULL) != (long long)m->nr)
		rc = chain_fail("the log of dirty pages: %s", strerror(errno));
	for (uint64_t i = 0; i < m->nr / 64 && !rc; i++)
		for (uint64_t bits = dirty[i]; bits && !rc; bits &= bits - 1) {
			gfns[n++] = i * 64 + (unsigned)__builtin_ctzll(bits);
			if (n == AT_ONCE) {
				rc = read_pages(l, m, gfns, n);
				n = 0;
			}
		}
	rc = rc ? rc : read_pages(l, m, gfns, n);
	xc_hypercall_buffer_free_pages(l->xc, dirty, (m->nr / 8 + CHAIN_PAGE - 1) / CHAIN_PAGE);
	return rc;
}

int live_read(struct live *l, struct memory *m)
{
	return read_dirty(l, m, 0);
}

/* Marks those of the n pages that the guest still has. */
static int still_there(struct live *l, struct memory *m, const xen_pfn_t *gfns, unsigned n)
{
	xen_pfn_t types[AT_ONCE];

	memcpy(types, gfns, n * sizeof(*types));
	if (n && xc_get_pfn_type_batch(l->xc, l->domid, n, types))
		return chain_fail("the kinds of pages: %s", strerror(errno));
	for (unsigned i = 0; i < n; i++)
		if (types[i] < XEN_DOMCTL_PFINFO_BROKEN)
			m->has[gfns[i] / 8] |= (uint8_t)(1 << gfns[i] % 8);
	return 0;
}

/* Sets the bits of the pages that the guest has: those that were read, and those of the point before. */
static int find_pages(struct live *l, struct chain *point, struct memory *m)
{
	xen_pfn_t gfns[AT_ONCE];
	unsigned n = 0;
	int rc = 0;

	memcpy(m->has, m->read, m->nr / 8);
	for (uint64_t gfn = 0; !rc && chain_next(point, &gfn) && gfn < m->nr; gfn++) {
		if (m->read[gfn / 8] >> gfn % 8 & 1)
			continue;
		gfns[n++] = gfn;
		if (n == AT_ONCE) {
			rc = still_there(l, m, gfns, n);
			n = 0;
		}
	}
	return rc ? rc : still_there(l, m, gfns, n);
}

static int renew_tsc(struct live *l, char *data, uint32_t length)
{
	struct {
		uint32_t mode, khz;
		uint64_t nsec;
		uint32_t incarnation, unused;
	} tsc = { 0 };

	if (length != sizeof(tsc))
		return chain_fail("the checkpoint's stream has %u bytes of TSC", length);
	if (xc_domain_get_tsc_info(l->xc, l->domid, &tsc.mode, &tsc.nsec, &tsc.khz,
				   &tsc.incarnation))
		return chain_fail("the guest's TSC: %s", strerror(errno));
	memcpy(data, &tsc, sizeof(tsc));
	return 0;
}

static int renew_params(struct live *l, char *data, uint32_t length)
{
	struct {
		uint64_t index, value;
	} *param = (void *)(data + 8);
	uint32_t n;

	memcpy(&n, data, length < 8 ? 0 : sizeof(n));
	if (length < 8 || n != (length - 8) / sizeof(*param))
		return chain_fail("the checkpoint's stream has %u bytes of parameters", length);
	for (uint32_t i = 0; i < n; i++)
		if (xc_hvm_param_get(l->xc, l->domid, (uint32_t)param[i].index, &param[i].value))
			return chain_fail("the guest's parameter %" PRIu64 ": %s", param[i].index,
					  strerror(errno));
	return 0;
}

/* The one record whose length may change. */
static int renew_context(struct live *l, char **data, uint32_t *length)
{
	int n = xc_domain_hvm_getcontext(l->xc, l->domid, NULL, 0);
	char *more = n > 0 ? realloc(*data, (size_t)n + 8) : NULL;

	if (more) {
		*data = more;
		n = xc_domain_hvm_getcontext(l->xc, l->domid, (uint8_t *)more, (uint32_t)n);
	}
	if (n <= 0 || !more)
		return chain_fail("the guest's state: %s", strerror(errno));
	*length = (uint32_t)n;
	return 0;
}

static int renew(void *arg, uint32_t type, char **data, uint32_t *length)
{
	switch (type) {
	case STREAM_TSC: return renew_tsc(arg, *data, *length);
	case STREAM_CONTEXT: return renew_context(arg, data, length);
	case STREAM_PARAMS: return renew_params(arg, *data, *length);
	default: return 0;
	}
}

int live_read_last(struct live *l, struct chain *point, struct memory *m)
{
	void *stream;

	if (read_dirty(l, m, XEN_DOMCTL_SHADOW_LOGDIRTY_FINAL) || find_pages(l, point, m))
		return -1;
	if (chain_state(point, "stream", &stream, &m->nr_rest) <= 0)
		return -1;
	m->rest = stream;
	return stream_renew(&m->rest, &m->nr_rest, renew, l);
}
