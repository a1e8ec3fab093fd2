/* SPDX-License-Identifier: BSD-2-Clause */
/* QEMU and KVM by libvirt's qemu driver: the system's for root, else the user's own session. */
#include <unistd.h>

#include "internal.h"

static enum v3m_code qemu_open(struct v3m *v)
{
	const char *uri = g_getenv("V3M_QEMU_URI");

	return lv_open(v, uri ? uri : geteuid() ? "qemu:///session" : "qemu:///system");
}

const struct v3m_ops v3m_qemu = {
	.name = "qemu",
	.package = "libvirt-daemon-driver-qemu",
	.driver = "libvirt_driver_qemu.so",
	.domain_type = "qemu",
	.tap = "ethernet",
	.open = qemu_open,
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

const struct v3m_ops v3m_kvm = {
	.name = "kvm",
	.package = "libvirt-daemon-driver-qemu",
	.driver = "libvirt_driver_qemu.so",
	.domain_type = "kvm",
	.tap = "ethernet",
	.open = qemu_open,
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
