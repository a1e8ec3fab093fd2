/* SPDX-License-Identifier: BSD-2-Clause */
/* Scenario: every read-only sub-operation of xen_version, and its errors. */
#include "guest.h"

#define UNMAPPED	((void *)0x7f0000000000ul)

static bool terminated(const char *s, size_t size)
{
	for (size_t i = 0; i < size; i++)
		if (!s[i])
			return true;
	return false;
}

static bool contains(const char *s, const char *word)
{
	for (; *s; s++)
		if (!strncmp(s, word, strlen(word)))
			return true;
	return false;
}

static void check_features(void)
{
	struct xen_feature_info fi = { .submap_idx = 0 };
	bool initial = start_info->flags & SIF_INITDOMAIN;
	static const unsigned int wanted[] = {
		XENFEAT_auto_translated_physmap, XENFEAT_writable_page_tables,
		XENFEAT_hvm_callback_vector, XENFEAT_hvm_safe_pvclock,
	};

	CHECK_RET(xen_version(XENVER_get_features, &fi), 0);
	for (unsigned int i = 0; i < ARRAY_SIZE(wanted); i++)
		CHECK(fi.submap & (1u << wanted[i]), "feature %u missing in %x", wanted[i],
		      fi.submap);
	CHECK(!!(fi.submap & (1u << XENFEAT_dom0)) == initial,
	      "features %x do not fit start info flags %x", fi.submap, start_info->flags);
	fi.submap_idx = XENFEAT_NR_SUBMAPS;
	CHECK_RET(xen_version(XENVER_get_features, &fi), -XEN_EINVAL);
}

int main(void)
{
	long version = xen_version(XENVER_version, NULL), ret;
	static xen_extraversion_t extra;
	static struct xen_compile_info compile;
	static xen_capabilities_info_t caps;
	static xen_changeset_info_t changeset;
	static struct xen_platform_parameters params;
	static xen_domain_handle_t handle;
	static xen_commandline_t hv_cmdline;
	static struct {
		uint32_t len;
		uint8_t bytes[64];
	} build_id;

	CHECK(version >> 16 == 4 && (version & 0xffff) >= 17, "version %lx", version);
	CHECK((uint32_t)version == cpuid(xen_leaf + 1, 0).a, "version %lx, but CPUID says %x",
	      version, cpuid(xen_leaf + 1, 0).a);

	CHECK_RET(xen_version(XENVER_extraversion, extra), 0);
	CHECK(terminated(extra, sizeof(extra)), "extraversion has no end");
	CHECK_RET(xen_version(XENVER_compile_info, &compile), 0);
	CHECK(terminated(compile.compiler, sizeof(compile.compiler)) &&
		      terminated(compile.compile_by, sizeof(compile.compile_by)) &&
		      terminated(compile.compile_domain, sizeof(compile.compile_domain)) &&
		      terminated(compile.compile_date, sizeof(compile.compile_date)),
	      "a compile info string has no end");
	CHECK_RET(xen_version(XENVER_capabilities, caps), 0);
	CHECK(terminated(caps, sizeof(caps)), "capabilities have no end");
	CHECK(contains(caps, "hvm-3.0-x86_64"), "capabilities \"%s\"", caps);
	CHECK_RET(xen_version(XENVER_changeset, changeset), 0);
	CHECK(terminated(changeset, sizeof(changeset)), "changeset has no end");
	CHECK_RET(xen_version(XENVER_platform_parameters, &params), 0);
	check_features();
	CHECK_RET(xen_version(XENVER_pagesize, NULL), PAGE_SIZE);
	CHECK_RET(xen_version(XENVER_guest_handle, handle), 0);
	CHECK_RET(xen_version(XENVER_commandline, hv_cmdline), 0);
	CHECK(terminated(hv_cmdline, sizeof(hv_cmdline)), "command line has no end");
	ret = xen_version(XENVER_build_id, NULL);
	CHECK(ret > 0 || ret == -XEN_ENODATA || ret == -XEN_EPERM, "length of the build id %ld",
	      ret);

	if (ret > 0) {
		build_id.len = 0;
		CHECK_RET(xen_version(XENVER_build_id, &build_id), -XEN_EINVAL);
		build_id.len = (uint32_t)ret - 1;
		CHECK_RET(xen_version(XENVER_build_id, &build_id), -XEN_ENOBUFS);
		build_id.len = sizeof(build_id.bytes);
		CHECK_RET(xen_version(XENVER_build_id, &build_id), ret);
		CHECK(build_id.bytes[0] | build_id.bytes[1] | build_id.bytes[2] | build_id.bytes[3],
		      "the build id begins with zeros");
		CHECK_RET(xen_version(XENVER_build_id, UNMAPPED), -XEN_EFAULT);
	}

	CHECK_RET(xen_version(99, NULL), -XEN_ENOSYS);
	CHECK_RET(xen_version(XENVER_extraversion, UNMAPPED), -XEN_EFAULT);
	CHECK_RET(xen_version(XENVER_get_features, UNMAPPED), -XEN_EFAULT);
	pass();
}
