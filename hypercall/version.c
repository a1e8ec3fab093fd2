/* SPDX-License-Identifier: BSD-2-Clause */
/* xen_version: information about the hypervisor for guests. xen/version.h */
#include <margay/boot_state.h>
#include <margay/module.h>
#include <margay/version.h>

#include "hypercall_priv.h"

#define XEN_MAJOR 4
#define XEN_MINOR 17

static const char denied[] = "<denied>";

static long string_out(gvaddr_t to, const char *s, size_t size)
{
	char buf[1024] = "";

	strcopy(buf, s, min(size, sizeof(buf)));
	return copy_to_guest(to, buf, min(size, sizeof(buf)));
}

static long get_features(struct domain *d, gvaddr_t arg)
{
	struct xen_feature_info fi;

	if (guest_read(&fi, arg, 0))
		return -EFAULT;
	if (fi.submap_idx)
		return -EINVAL;
	/* As in Xen for a domain with nested paging. */
	fi.submap = 1U << XENFEAT_memory_op_vnode_supported | 1U << XENFEAT_writable_page_tables |
		    1U << XENFEAT_auto_translated_physmap |
		    (d->native ? 0 : 1U << XENFEAT_hvm_safe_pvclock) |
		    1U << XENFEAT_hvm_callback_vector | 1U << XENFEAT_not_direct_mapped;
	if (d->pirqs)
		fi.submap |= 1U << XENFEAT_hvm_pirqs;
	if (d->initial)
		fi.submap |= 1U << XENFEAT_dom0;
	return guest_write(arg, 0, &fi);
}

/* Returns the length, and with a buffer (xen_build_id) the bytes behind the buffer's own length. */
static long get_build_id(gvaddr_t arg)
{
	const u8 *id = module_hypervisor_id();
	u32 room;

	if (arg && guest_read(&room, arg, 0))
		return -EFAULT;
	if (arg && !room)
		return -EINVAL;
	if (!id)
		return -ENODATA;
	if (arg && room < BUILD_ID_SIZE)
		return -ENOBUFS;
	if (arg && copy_to_guest(arg + sizeof(room), id, BUILD_ID_SIZE))
		return -EFAULT;
	return BUILD_ID_SIZE;
}

static __noinline long describe(struct vcpu *v, struct regs *h)
{
	struct domain *d = v->domain;
	bool privileged = d->initial || d->control;
	gvaddr_t arg = h->rsi;

	switch ((s32)h->rdi) {
	case XENVER_extraversion: return string_out(arg, ".0-margay", XEN_EXTRAVERSION_LEN);
	case XENVER_compile_info: {
		struct xen_compile_info info = {
			.compiler = "gcc " __VERSION__,
			.compile_by = "margay",
		};

		strcopy(info.compile_date, version_date, sizeof(info.compile_date));
		return guest_write(arg, 0, &info);
	}
	case XENVER_capabilities:
		return string_out(arg, "hvm-3.0-x86_32 hvm-3.0-x86_32p hvm-3.0-x86_64 ",
				  XEN_CAPABILITIES_INFO_LEN);
	case XENVER_changeset: return string_out(arg, version_changeset, XEN_CHANGESET_INFO_LEN);
	case XENVER_platform_parameters: {
		struct xen_platform_parameters p = { 0 };

		return guest_write(arg, 0, &p);
	}
	case XENVER_get_features: return get_features(d, arg);
	case XENVER_pagesize: return (long)PAGE_SIZE;
	case XENVER_guest_handle: {
		xen_domain_handle_t handle = { 0 };

		return guest_write(arg, 0, &handle);
	}
	case XENVER_commandline:
		return privileged ? string_out(arg, boot_info.cmdline, sizeof(xen_commandline_t)) :
				    string_out(arg, denied, sizeof(denied));
	case XENVER_build_id: return privileged ? get_build_id(arg) : -EPERM;
	default: return hcall_unsupported(v, "xen_version", h->rdi);
	}
}

/* Guests call XENVER_version for event delivery: keep describe()'s stack frame off this path. */
long do_xen_version(struct vcpu *v, struct regs *h)
{
	if (likely((s32)h->rdi == XENVER_version))
		return XEN_MAJOR << 16 | XEN_MINOR;
	return describe(v, h);
}
