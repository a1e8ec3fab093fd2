/* SPDX-License-Identifier: BSD-2-Clause */
/* console_io: the initial domain's line to the console, in both directions. xen.h */
#include <margay/console.h>

#include "hypercall_priv.h"

#define CHUNK 256U

static long console_write(struct vcpu *v, struct hcall_args *h)
{
	u32 count = (u32)h->a[1], done, n;
	char buf[CHUNK];

	for (done = 0; done < count; done += n) {
		if (done && hcall_preempt()) {
			h->a[1] = count - done;
			h->a[2] += done;
			return HCALL_RESTART;
		}
		n = min(count - done, CHUNK);
		if (copy_from_guest(buf, h->a[2] + done, n))
			return -EFAULT;
		console_guest_write(v->domain, buf, n);
	}
	return 0;
}

static long console_read(struct vcpu *v, u32 count, gvaddr_t to)
{
	char buf[CHUNK];
	size_t n = console_guest_read(v->domain, buf, min(count, CHUNK));

	return copy_to_guest(to, buf, n) ? -EFAULT : (long)n;
}

long do_console_io(struct vcpu *v, struct hcall_args *h)
{
	if (!v->domain->initial)
		return -EPERM;
	switch ((u32)h->a[0]) {
	case CONSOLEIO_write:
	case CONSOLEIO_read:
		if ((u32)h->a[1] > INT32_MAX)
			return -E2BIG;
		if ((u32)h->a[0] == CONSOLEIO_write)
			return console_write(v, h);
		return console_read(v, (u32)h->a[1], h->a[2]);
	default:
		return hcall_unsupported(v, "console_io", h->a[0]);
	}
}
