/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A virtual CPU. The hardware back-end copies the guest's registers to and from `regs` around each
 * world switch. Shared code accesses them here and never sees a VMCB or VMCS.
 */
#pragma once

#include <margay/arch.h>
#include <margay/atomic.h>
#include <margay/domain.h>
#include <margay/percpu.h>

struct vlapic;

enum exit_reason {
#define EXIT(id, name, handler) EXIT_##id,
#include <margay/exits.def>
	NR_EXITS
};

extern const char *const exit_names[NR_EXITS];	/* by exit_reason, for display */

#define NR_HYPERCALLS 64U
#define HCALL_SUBOPS 32UL

/*
 * Rows of counters in vcpu.hypercalls: one for each served hypercall and one for all others. The
 * first argument, usually an operation number, selects the counter; the last counter takes all
 * larger values.
 */
enum hcall_row {
	HCALL_ROW_UNSERVED,
#define HYPERCALL(nr, name, handler, who) HCALL_ROW_##name,
#include <margay/hypercalls.def>
	HCALL_ROWS
};

/* In the order of the instruction encodings, so that a decoded register number is an index. */
struct regs {
	union {
		u64 gpr[16];
		struct {
			u64 rax, rcx, rdx, rbx, rsp, rbp, rsi, rdi;
			u64 r8, r9, r10, r11, r12, r13, r14, r15;
		};
	};
	u64 rip, rflags;
};

/* Work to do before the next guest entry; set by vcpu_post(). */
enum vcpu_work {
	VCPU_WORK_EVENT = 1 << 0,	/* evtchn_upcall_pending may have been set */
	VCPU_WORK_LAPIC = 1 << 1,	/* an interrupt in the vLAPIC may be deliverable */
	VCPU_WORK_NMI = 1 << 2,
	VCPU_WORK_FLUSH = 1 << 3,	/* the nested translations must be flushed */
	VCPU_WORK_TIME = 1 << 4,	/* pvclock must be updated */
	VCPU_WORK_WINDOW = 1 << 5, /* a window exit allows injection, or a deadline waits */
	VCPU_WORK_OBSERVE = 1 << 7,	/* a policy sees every exit */
	VCPU_WORK_IPI = 1 << 8,		/* an IPI to many vCPUs is not finished */
	VCPU_WORK_PMI = 1 << 9,		/* a performance counter may have overflowed */
	VCPU_WORK_STOP = 1 << 6,	/* the domain ends: do not enter */
};

enum run_state {
	RUN_OFFLINE,		/* not started, or VCPUOP_down: needs SIPI or VCPUOP_up */
	RUN_BLOCKED,		/* HLT, SCHEDOP_block or poll */
	RUN_RUNNABLE,		/* on a run queue */
	RUN_RUNNING,
};

/* The execution mode, for display and mode checks only. */
struct vcpu_mode {
	u64 cr0, cr2, cr3, cr4, efer;
	u8 cpl;
	u8 width;		/* current code size: 16, 32 or 64 */
	u64 cs_base;
};

/*
 * A segment. The rights have the format of Xen's ABI and the VMCB: 12 bits, without the
 * descriptor's limit bits.
 */
struct vcpu_seg {
	u16 sel, attr;
	u32 limit;
	u64 base;
};

enum { SEG_ES, SEG_CS, SEG_SS, SEG_DS, SEG_FS, SEG_GS, SEG_LDTR, SEG_TR, NR_SEGS };

#define NR_STATE_MSRS 8 /* the first of direct_msrs[] */

/* Processor state that is neither in v->regs nor in another member of struct vcpu. */
struct vcpu_state {
	u64 cr0, cr2, cr3, cr4, efer, dr6, dr7, pat;
	u64 msr[NR_STATE_MSRS];
	u64 pending_debug;	/* SDM 3C 25.4.2 */
	u64 blocked;		/* BLOCKED_BY_* */
	struct vcpu_seg seg[NR_SEGS], gdtr, idtr;
};

/* State needed to walk the guest's page tables; hvm_ops.refresh_paging_state() updates it. */
struct paging_state {
	u64 cr0, cr3, cr4, efer;
};

/* A cached mapping of the p2m. guest_copy.c */
struct p2m_window {
	gpaddr_t base;
	u64 size;
	u8 *host;
	bool writable;
};

/* A cached translation, with the guest page-table entries that it depends on. guest_copy.c */
struct vcpu_walk {
	gvaddr_t page;
	u64 cr3;
	bool write;
	u8 *host;
	struct walk_step {
		u64 *at, val;
	} steps[5], *end;
	u32 error;		/* of a failed walk: PF_* */
	u32 unused;		/* 128 bytes, so that indexing is a shift */
};

/* Guest memory that the guest has registered for Margay to write. */
struct guest_area {
	gvaddr_t va;		/* 0: none; set last */
	gfn_t gfn[2];		/* the one or two pages that contain it, at registration */
	mfn_t mfn[2];		/* referenced */
	u32 off;
};

/* The result of an RDMSR, small enough to return in registers. */
struct msr_read {
	u64 val;
	long err;		/* 0, or -EPERM: #GP */
};

enum { NR_OWN_CPUID = 25 };
struct cpuid_regs {
	u32 eax, ebx, ecx, edx;
};

/* An event to inject at the next entry, or one whose delivery was interrupted. */
struct injection {
	bool valid, has_error;
	u8 vector, type;	/* type: INJ_* */
	u8 insn_len;		/* of INT1, which is a trap */
	u32 error;
};

enum inj_type { INJ_EXTINT = 0, INJ_NMI = 2, INJ_EXCEPTION = 3, INJ_SOFT = 4, INJ_INT1 = 5 };

/* A vCPU's queues of the FIFO event channel ABI. common/evtchn_fifo.c */
struct fifo_queues {
	struct spinlock lock;
	u32 tail[EVTCHN_FIFO_MAX_QUEUES]; /* the last port linked; 0: none */
	struct evtchn_fifo_control_block *control; /* in a page of the guest's, referenced */
};


struct vcpu {
	/* First, since the assembly uses the offsets: */
	struct regs regs;
	paddr_t hw_block, hw_host;	/* back-end state of the guest and of the host */
	void *block;			/* the back-end's mapping of hw_block */
	u32 spec_ctrl;			/* the guest's SPEC_CTRL */
	bool spec_ctrl_direct;		/* the guest accesses it: read it after each exit */

	union {
		struct {
			volatile u32 pending;	/* enum vcpu_work */
			u16 waiting_window; /* work that waits for an interrupt or NMI window */
			u8 entry;	/* rare work of the back-end's next entry */
		};
		u64 entry_work;	/* all of them: mostly 0 */
	};
	union {
		struct {
			volatile bool in_guest;	/* set around guest execution; read by kickers */
			bool walk_checked;	/* `recent` was, since the last exit */
		};
		volatile u16 entering;		/* both */
	};
	bool shadow;			/* the exit was in an STI or MOV SS shadow */
	volatile bool copying_guest_memory; /* uses p2m translations without holding references */
	volatile bool on_cpu;		/* its state is in a CPU's registers */
	struct domain *domain;
	unsigned id;

	/* Scheduling: protected by the lock of cpu->runq. */
	struct cpu *cpu;
	enum run_state state;
	bool halted;			/* blocked by HLT with interrupts off */
	unsigned holds;			/* reasons not to run */
	struct list runq_link;
	struct cpu *core;		/* the CPU that it owns; NULL: none. isolate.h */
	volatile bool direct;		/* its local APIC is that of its core */
	struct cpu_set affinity;
	struct cpu_set allowed;		/* ... without the CPUs that other vCPUs own */
	struct cpu_set soft_affinity;	/* CPUs to prefer while one of them is idle */
	stime_t slice_end;
	stime_t not_before;		/* deadline of the guest entry: vcpu_early_timer_fired() */
	u64 policy_serial;		/* serial of the module that view.priv belongs to */
	struct policy_vcpu view;

	/* Xen's ABI. */
	u8 *arg64;	/* during a 32-bit caller's hypercall: the memory at ARG64 */
	struct vcpu_info *info;		/* in shared_info or the guest's registered page */
	mfn_t info_mfn;			/* registered page, referenced; INVALID_MFN when none */
	bool initialised;       /* has an initial state: builder, SIPI, VCPUOP_initialise */
	u8 upcall_vector;		/* HVMOP_set_evtchn_upcall_vector; 0 when none */
	struct fifo_queues fifo;
	unsigned poll_ports;    /* SCHEDOP_poll: number of ports polled, 0 when not polling */
	u32 poll_port;			/* the port, when poll_ports is 1 */
	struct timer timer;		/* set_timer_op and singleshot */
	struct timer periodic;
	stime_t period;			/* 0 when off */
	bool slow_tick;           /* periodic slowed down until v runs: ticks went unnoticed */
	bool moved;			/* to another CPU, but its timers have not followed */
	struct timer *arch_timer;	/* the virtual local APIC's */
	struct timer poll_timer;
	u32 virq_port[24];		/* NR_VIRQS */
	struct guest_area runstate_area, time_area;
	struct vcpu_runstate_info runstate;

	/* Processor state beyond regs. */
	struct vlapic *vlapic;
	struct pmu *pmu;		/* NULL: it has no performance counters */
	struct injection inject;
	bool nmi_pending, nmi_blocked;
	bool sipi_wait;			/* after INIT, until SIPI */
	void *xsave;			/* 64-byte aligned, of the policy's XCR0 size */
	u64 xcr0;
	u64 dr[4];
	u64 msr_tsc_aux;
	struct cpuid_regs cpuid[NR_OWN_CPUID]; /* results that differ between vCPUs */
	u64 tsc_offset;
	u32 pvclock_version;

	struct paging_state paging;
	u64 map_generation;		/* the p2m's generation when the caches below were filled */
	struct p2m_window map[16];
	struct vcpu_walk walked[16], *recent;

	void *hvm;			/* back-end data: VMCB and the like */
	u64 exits[NR_EXITS];
	u64 exits_seen[NR_EXITS];	/* as last reported to the exit policy */
	u64 hypercalls[HCALL_ROWS * HCALL_SUBOPS]; /* by row and operation */
	struct vcpu_stats stats;
	u32 exit_tsc;			/* at the last exit, lower half */
	u64 exit_ticks;			/* TSC ticks between exits and entries */
};

/* Before an entry. Walks of the guest's page tables must be checked again after it. */
static inline void vcpu_set_in_guest(struct vcpu *v)
{
	v->entering = 1;
}

/* Sets pending work. Wakes nothing, but kicks v out of guest mode if it runs on another CPU. */
void vcpu_post(struct vcpu *v, u32 work);

/*
 * Restricts v, which has not started, to the CPUs of the set. -EINVAL when none of them is there:
 * nothing changes.
 */
int vcpu_set_affinity(struct vcpu *v, const struct cpu_set *set);

/* The same at any time. v moves soon after if it is on another CPU. */
int vcpu_restrict(struct vcpu *v, const struct cpu_set *set);

/* Initialises a vCPU's timers (VIRQ_TIMER, poll). vcpu_timers.c */
void vcpu_timers_init(struct vcpu *v);
/* Moves v's timers to this CPU, where v now runs, so that they interrupt no other CPU. */
void vcpu_timers_follow(struct vcpu *v);
/* Restores the period of v's periodic timer when v runs again. */
void vcpu_timers_resume(struct vcpu *v);

/* Register an area of v for the caller `cur`. arg: the hypercall's argument. vcpu_area.c */
long register_vcpu_info(struct vcpu *cur, struct vcpu *v, gvaddr_t arg);
long register_runstate(struct vcpu *cur, struct vcpu *v, gvaddr_t arg);
long register_time(struct vcpu *cur, struct vcpu *v, gvaddr_t arg);

/*
 * Releases the pages that v's guest registered: vcpu_info, runstate, time. v no longer runs, and
 * nothing can send it events: its timers are stopped and its event channels are closed.
 */
void vcpu_areas_release(struct vcpu *v);

/*
 * Writes v->runstate to the guest's registered area, if any. The scheduler calls it at each switch
 * to or from v, on the CPU that v enters or leaves. Any locks.
 */
void runstate_update(struct vcpu *v);

/* Returns the vCPU for a hypercall's vCPU id; NULL when out of range. Speculation-safe. */
struct vcpu *domain_vcpu(struct domain *d, u32 id);
