/* SPDX-License-Identifier: BSD-2-Clause */
/* console_io: access of the initial domain to the console, in both directions. xen.h */
#include <margay/console.h>

#include "hypercall_priv.h"

#define CHUNK 256U

static long console_io_write(struct vcpu *v, struct regs *h)
{
	u32 count = (u32)h->rsi, done = 0, n, taken;
	char buf[CHUNK];

	do {
		n = min(count - done, CHUNK);
		if (copy_from_guest(buf, h->rdx + done, n))
			return -EFAULT;
		taken = (u32)console_guest_write(v->domain, buf, n);
		done += taken;
		/* When the output buffer is full the guest waits; its CPU can do other work. */
	} while (done < count && taken == n && !hcall_preempt());
	if (done == count)
		return 0;
	h->rsi = count - done;
	h->rdx += done;
	return HCALL_RESTART;
}

static long console_io_read(struct vcpu *v, u32 count, gvaddr_t to)
{
	char buf[CHUNK];
	size_t n = console_guest_read(v->domain, buf, min(count, CHUNK));

	return copy_to_guest(to, buf, n) ? -EFAULT : (long)n;
}

long do_console_io(struct vcpu *v, struct regs *h)
{
	if (!v->domain->initial)
		return -EPERM;
	switch ((u32)h->rdi) {
	case CONSOLEIO_write:
	case CONSOLEIO_read:
		if ((u32)h->rsi > INT32_MAX)
			return -E2BIG;
		if ((u32)h->rdi == CONSOLEIO_write)
			return console_io_write(v, h);
		return console_io_read(v, (u32)h->rsi, h->rdx);
	default:
		return hcall_unsupported(v, "console_io", h->rdi);
	}
}
