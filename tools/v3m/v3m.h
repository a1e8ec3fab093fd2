/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * libv3m: virtual machines by profile, over every hypervisor that libvirt reaches. A profile
 * (v3m_profile.dtd) is checked whole before anything is touched. Calls return 0 or a value of
 * enum v3m_code. A set that is loaded does not change, so threads may share it; each thread
 * uses a connection of its own.
 */
#ifndef V3M_H
#define V3M_H

#ifdef __cplusplus
extern "C" {
#endif

enum v3m_code {
	V3M_OK = 0,
	V3M_INVALID = 1,     /* the profile is wrong; the messages say where */
	V3M_USAGE = 2,       /* wrong arguments of a call */
	V3M_NOT_FOUND = 3,   /* no such machine or file */
	V3M_EXISTS = 4,      /* a machine of that name is there already */
	V3M_STATE = 5,       /* not in this state of the machine */
	V3M_UNSUPPORTED = 6, /* this hypervisor cannot do that */
	V3M_NO_BACKEND = 7,  /* the hypervisor or its driver is not installed or does not run */
	V3M_DENIED = 8,      /* no rights */
	V3M_FAILED = 9,      /* the hypervisor or the system reported an error */
};

enum v3m_state { V3M_OFF, V3M_RUNNING, V3M_PAUSED };

/* v3m_check(): */
#define V3M_CHECK_HOST 1u /* also look at this host: images, kernels, bridges, drivers */

struct v3m_set;     /* the profiles of one file: one, or a profileset's, with its counts expanded */
struct v3m_profile; /* one machine; belongs to its set */
struct v3m;         /* a connection to a hypervisor */

/*
 * Receives each message. line and column count from 1; 0 where the message concerns no place
 * in a file.
 */
typedef void v3m_message_fn(void *opaque, const char *file, int line, int column, const char *text);

/* A machine in a list. */
typedef void v3m_list_fn(void *opaque, const char *name, enum v3m_state state);

struct v3m_info {
	enum v3m_state state;
	unsigned long long memory; /* bytes */
	unsigned int cpus;
	unsigned long long cpu_time; /* nanoseconds */
};

/* Returns a short English text for a code; never NULL. */
const char *v3m_strerror(enum v3m_code code);
/* Returns what the states are called: off, running, paused. */
const char *v3m_state_name(enum v3m_state state);

/*
 * Reads a file, or text of a given length whose messages call it name, and checks its syntax,
 * its elements and their values. Entities and external parts are refused. On V3M_OK *set is
 * new; release it by v3m_set_free().
 */
enum v3m_code v3m_load_file(const char *path, struct v3m_set **set, v3m_message_fn *say,
			    void *opaque);
enum v3m_code v3m_load(const char *text, unsigned long length, const char *name,
		       struct v3m_set **set, v3m_message_fn *say, void *opaque);
void v3m_set_free(struct v3m_set *set);
unsigned int v3m_set_count(const struct v3m_set *set);
/* Returns the machine of that index below v3m_set_count(), else NULL. */
const struct v3m_profile *v3m_set_profile(const struct v3m_set *set, unsigned int index);
const char *v3m_profile_name(const struct v3m_profile *profile);
/* Returns the name of the profile's back-end: mock, qemu, kvm, xen, margay, boot or vmware. */
const char *v3m_profile_type(const struct v3m_profile *profile);
/*
 * Uses another back-end for all machines of a set that nobody shares yet. V3M_USAGE if there
 * is none of that name.
 */
enum v3m_code v3m_set_type(struct v3m_set *set, const char *type);
/* Checks the set against this host if flags say so. Reports each fault. */
enum v3m_code v3m_check(const struct v3m_set *set, unsigned int flags, v3m_message_fn *say,
			void *opaque);
/*
 * Returns what the hypervisor would get (libvirt's XML, or GRUB's lines), to be released by
 * free(); NULL for want of support, with the reason in a message.
 */
char *v3m_domain(const struct v3m_profile *profile, v3m_message_fn *say, void *opaque);

/*
 * Connects to the back-end of that name. say receives why a later call on this connection
 * failed.
 */
enum v3m_code v3m_open(const char *type, struct v3m **connection, v3m_message_fn *say,
		       void *opaque);
void v3m_close(struct v3m *connection);

/*
 * Makes the profile's images that are missing and defines the machine, which stays off. All or
 * nothing.
 */
enum v3m_code vm_create(struct v3m *connection, const struct v3m_profile *profile);
enum v3m_code v3m_start(struct v3m *connection, const char *name);
/* Asks the machine's system to shut down. */
enum v3m_code v3m_shutdown(struct v3m *connection, const char *name);
/* Ends the machine at once; it stays defined. */
enum v3m_code v3m_kill(struct v3m *connection, const char *name);
/* Ends the machine and forgets it. Its images stay. */
enum v3m_code v3m_destroy(struct v3m *connection, const char *name);
enum v3m_code v3m_pause(struct v3m *connection, const char *name);
enum v3m_code v3m_resume(struct v3m *connection, const char *name);
enum v3m_code v3m_status(struct v3m *connection, const char *name, struct v3m_info *info);
/* Lists all machines, by at most three calls of the hypervisor's driver. */
enum v3m_code v3m_list(struct v3m *connection, v3m_list_fn *each, void *opaque);
/* Stores a running machine in a file and ends it. v3m_restore() continues it. */
enum v3m_code v3m_checkpoint(struct v3m *connection, const char *name, const char *path);
enum v3m_code v3m_restore(struct v3m *connection, const char *path);
/* Moves a running machine to the libvirt of that address. */
enum v3m_code v3m_migrate(struct v3m *connection, const char *name, const char *uri);
/*
 * Connects the machine's console with two file descriptors until Ctrl-] or the end of the
 * input.
 */
enum v3m_code v3m_console(struct v3m *connection, const char *name, int in, int out);

/* Calls each with every back-end and what it cannot do, in words, separated by blanks. */
typedef void v3m_backend_fn(void *opaque, const char *name, const char *package,
			    const char *unsupported);
void v3m_backends(v3m_backend_fn *each, void *opaque);

#ifdef __cplusplus
}
#endif
#endif
