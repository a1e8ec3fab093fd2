/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A hardware virtualization back-end (AMD-V, later VT-x): set-up and rare operations. The hot path, the
 * run loop and the exit switch, is the back-end's own and does not go through here.
 */
#ifndef MARGAY_HVM_H
#define MARGAY_HVM_H

#include <margay/vcpu.h>

struct hvm_ops {
	const char *name;
	bool (*probe)(void);            /* the CPU has it, and says why not when it does not */
	int (*cpu_init)(struct cpu *c);		/* on that CPU; 0 or reported error */
	int (*domain_init)(struct domain *d);
	void (*domain_free)(struct domain *d);
	int (*vcpu_init)(struct vcpu *v);
	void (*vcpu_free)(struct vcpu *v);
	void (*run)(struct vcpu *v);		/* arch_vcpu_run */
	void (*mode)(struct vcpu *v, struct vcpu_mode *m);
	bool (*paging)(struct vcpu *v);		/* brings v->paging up to date: did it change? */
	void (*dump)(struct vcpu *v);

	/* Reset to INIT state (real mode, CS f000:fff0), then one of the two starts below may follow. */
	void (*reset)(struct vcpu *v);
	/* CS base/selector for SIPI; or a flat 32/64-bit context. */
	void (*start_sipi)(struct vcpu *v, u8 vector);
	void (*set_context)(struct vcpu *v, const struct vcpu_hvm_context *ctx);

	/* MSRs whose guest value the hardware's block holds. -ENOENT when it is none of these. */
	int (*get_msr)(struct vcpu *v, u32 msr, u64 *val);
	int (*set_msr)(struct vcpu *v, u32 msr, u64 val);
	void (*skip_shadow)(struct vcpu *v);	/* drops the interrupt shadow of STI/MOV SS */
	void (*set_cr2)(struct vcpu *v, u64 cr2);
	void (*request_flush)(struct vcpu *v);	/* nested translations of v, at its next entry */
	u64 (*seg_base)(struct vcpu *v, unsigned seg);	/* base of ES CS SS DS FS GS (0..5) */
};

extern const struct hvm_ops *hvm;	/* chosen at boot */
extern const struct hvm_ops svm_ops;

/* Features of the machine that guests may see, and limits; filled at boot by arch/x86/cpu. */
struct x86_features {
	u64 xcr0_mask;			/* XSAVE components that guests may enable */
	u32 xsave_size;			/* of xcr0_mask */
	u64 tsc_hz;
	bool invariant_tsc, tsc_deadline, x2apic, page1g, xsave, rdtscp, ibpb;
	u8 phys_bits;
	u8 vendor;			/* X86_VENDOR_* */
};
enum { X86_VENDOR_INTEL, X86_VENDOR_AMD, X86_VENDOR_OTHER };
extern struct x86_features x86;

#endif
