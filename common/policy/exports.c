/* SPDX-License-Identifier: BSD-2-Clause */
/* The functions that modules may call: those declared in public/policy.h, and no others. */
#include <margay/lib.h>
#include <margay/module.h>

#define EXPORT(fn) { #fn, (uintptr_t)(fn) }

static const struct {
	const char *name;
	u64 addr;
} exports[] = {
	EXPORT(policy_now), EXPORT(policy_resched), EXPORT(policy_log), EXPORT(policy_exit_name),
	EXPORT(memcpy),     EXPORT(memset),         EXPORT(memcmp),
};

u64 module_export(const char *name)
{
	for (unsigned i = 0; i < ARRAY_SIZE(exports); i++)
		if (!strcmp(exports[i].name, name))
			return exports[i].addr;
	return 0;
}

extern const u8 build_id_note[], build_id_end[];	/* margay.lds */

const u8 *module_hypervisor_id(void)
{
	const u8 *id = build_id_note + 12 + 4;	/* behind a note header and "GNU" */

	return build_id_end - id == BUILD_ID_SIZE ? id : NULL;
}
