/* SPDX-License-Identifier: BSD-2-Clause */
/* Xen and Margay, whose control domain runs Xen's tools, by libvirt's libxl driver. Machines are PVH. */
#include "internal.h"

static enum v3m_code xen_open(struct v3m *v)
{
	const char *uri = g_getenv("V3M_XEN_URI");

	return lv_open(v, uri ? uri : "xen:///system");
}

const struct v3m_ops v3m_xen = {
	.name = "xen",
	.package = "libvirt-daemon-driver-xen",
	.driver = "libvirt_driver_libxl.so",
	.domain_type = "xen",
	.tap = "bridge",
	.paravirtual = true,
	.open = xen_open,
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
	.checkpoint = lv_checkpoint,
	.restore = lv_restore,
	.migrate = lv_migrate,
	.console = lv_console,
};

const struct v3m_ops v3m_margay = {
	.name = "margay",
	.package = "libvirt-daemon-driver-xen",
	.driver = "libvirt_driver_libxl.so",
	.domain_type = "xen",
	.tap = "bridge",
	.paravirtual = true,
	.open = xen_open,
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
	.checkpoint = lv_checkpoint,
	.restore = lv_restore,
	.migrate = lv_migrate,
	.console = lv_console,
};
