/* SPDX-License-Identifier: BSD-2-Clause */
/* Scenario: HVM parameters: those that Linux reads, the callback, and refusals. */
#include "guest.h"

#define CALLBACK	((uint64_t)HVM_PARAM_CALLBACK_TYPE_VECTOR << 56 | UPCALL_VECTOR)

int main(void)
{
	static const uint32_t asked[] = {
		HVM_PARAM_STORE_PFN, HVM_PARAM_STORE_EVTCHN, HVM_PARAM_CONSOLE_PFN,
		HVM_PARAM_CONSOLE_EVTCHN,
	};
	struct xen_hvm_param p = { .domid = 0x7123, .index = HVM_PARAM_CONSOLE_PFN };
	uint64_t value;
	long ret;

	for (unsigned int i = 0; i < ARRAY_SIZE(asked); i++) {
		value = ~0ul;
		CHECK_RET(hvm_get_param(asked[i], &value), 0);
		CHECK(value != ~0ul, "parameter %u not written", asked[i]);
	}
	CHECK_RET(hvm_set_param(HVM_PARAM_CALLBACK_IRQ, CALLBACK), 0);
	CHECK_RET(hvm_get_param(HVM_PARAM_CALLBACK_IRQ, &value), 0);
	CHECK(value == CALLBACK, "callback parameter %lx", value);
	CHECK_RET(hvm_set_param(HVM_PARAM_CALLBACK_IRQ, 0), 0);

	CHECK_RET(hvm_get_param(HVM_NR_PARAMS, &value), -XEN_EINVAL);
	CHECK_RET(hvm_get_param(~0u, &value), -XEN_EINVAL);
	CHECK_RET(hvm_set_param(HVM_NR_PARAMS, 0), -XEN_EINVAL);
	ret = hvm_op(HVMOP_get_param, &p);
	CHECK(ret == -XEN_ESRCH || ret == -XEN_EPERM, "parameter of nobody: %ld", ret);
	CHECK_RET(hvm_op(HVMOP_get_param, (void *)0x7f0000000000), -XEN_EFAULT);
	CHECK_RET(hvm_op(99, &p), -XEN_ENOSYS);
	pass();
}
