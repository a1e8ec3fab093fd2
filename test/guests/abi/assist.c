/* SPDX-License-Identifier: BSD-2-Clause */
/* Scenario: vm_assist: a PVH guest has the runstate flag and no other. */
#include "guest.h"

int main(void)
{
	CHECK_RET(vm_assist(VMASST_CMD_enable, VMASST_TYPE_runstate_update_flag), 0);
	CHECK_RET(vm_assist(VMASST_CMD_enable, VMASST_TYPE_runstate_update_flag), 0);
	CHECK_RET(vm_assist(VMASST_CMD_disable, VMASST_TYPE_runstate_update_flag), 0);
	CHECK_RET(vm_assist(VMASST_CMD_enable, VMASST_TYPE_4gb_segments), -XEN_EINVAL);
	CHECK_RET(vm_assist(VMASST_CMD_enable, VMASST_TYPE_writable_pagetables), -XEN_EINVAL);
	CHECK_RET(vm_assist(VMASST_CMD_enable, 63), -XEN_EINVAL);
	CHECK_RET(vm_assist(VMASST_CMD_enable, 64), -XEN_EINVAL);
	CHECK_RET(vm_assist(VMASST_CMD_enable, ~0u), -XEN_EINVAL);
	CHECK_RET(vm_assist(7, VMASST_TYPE_runstate_update_flag), -XEN_ENOSYS);
	pass();
}
