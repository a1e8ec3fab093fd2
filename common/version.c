/* SPDX-License-Identifier: BSD-2-Clause */
/* What this build is: the words come from git, by scripts/version; the build-id from the linker. */
#include <margay-build.h>

#include <margay/lib.h>
#include <margay/module.h>
#include <margay/version.h>

const char version_date[] = MARGAY_DATE, version_changeset[] = MARGAY_CHANGESET;

void version_print(void)
{
	const u8 *id = module_hypervisor_id();
	u64 start = 0;

	for (unsigned i = 0; id && i < sizeof(start); i++)
		start = start << 8 | id[i];
	printk("version " MARGAY_VERSION ", " MARGAY_DATE ", build %016lx\n", start);
}
