/* SPDX-License-Identifier: BSD-2-Clause */
/* VMware by libvirt's vmware driver (Workstation and Player) or, by V3M_VMWARE_URI, its esx driver. */
#include "internal.h"

static enum v3m_code vmware_open(struct v3m *v)
{
	const char *uri = g_getenv("V3M_VMWARE_URI");

	return lv_open(v, uri ? uri : "vmwarews:///session");
}

const struct v3m_ops v3m_vmware = {
	.name = "vmware",
	.package = "libvirt0 with vmrun of VMware",
	.domain_type = "vmware",
	.tap = "bridge",
	.open = vmware_open,
	.close = lv_close,
	.domain = lv_domain,
	.define = lv_define,
	.start = lv_start,
	.shutdown = lv_shutdown,
	.kill = lv_kill,
	.destroy = lv_destroy,
	.pause = lv_pause,
	.resume = lv_resume,
	.status = lv_status,
	.list = lv_list,
};
