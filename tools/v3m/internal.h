/* SPDX-License-Identifier: BSD-2-Clause */
/* What libv3m's files share: profiles as structures, messages, and the table of operations of a back-end. */
#ifndef V3M_INTERNAL_H
#define V3M_INTERNAL_H

#include <stdbool.h>
#include <glib.h>
#include <libvirt/libvirt.h>

#include "v3m.h"

#define V3M_NICS 8
#define MIB (1024ull * 1024)

struct place {
	int line, column;
};

struct say {
	v3m_message_fn *fn;
	void *opaque;
	const char *file;
	bool failed; /* something was said */
};

enum nic_type { NIC_NONE, NIC_TAP, NIC_BRIDGE, NIC_NAT, NIC_PCI, NIC_NETWORK };

struct nic {
	enum nic_type type;
	char *mac, *bridge, *network, *device;
	struct place place;
};

struct image {
	char *path, *format;
	unsigned long long size; /* bytes; 0 if the profile has none */
	bool read_only, cdrom;
	struct place place;
};

struct v3m_profile {
	const char *file; /* the set's */
	char *name, *arch, *kernel, *initrd, *cmdline, *serial, *role, *pin;
	const struct v3m_ops *ops;
	unsigned long long memory; /* bytes */
	unsigned int cpus, nodes, count;
	bool dedicated;
	GArray *images; /* struct image */
	struct nic nic[V3M_NICS];
	struct {
		char *mode, *standby;
		unsigned int interval; /* ms */
	} ft;
	struct place place, name_place, kernel_place, initrd_place, type_place;
};

struct v3m_set {
	char *file, *name;
	GPtrArray *profiles;
	GHashTable *networks; /* name: bridge, or "" */
};

struct v3m {
	const struct v3m_ops *ops;
	struct say say;
	virConnectPtr libvirt;
	int lock; /* of mock's file */
};

/* A back-end. An operation that is NULL is V3M_UNSUPPORTED. */
struct v3m_ops {
	const char *name;
	const char *package;	 /* has the driver */
	const char *driver;	 /* libvirt's plug-in, or NULL if it is built in */
	const char *domain_type; /* in libvirt's XML */
	const char *tap;	 /* libvirt's type of interface for TUN/TAP */
	bool dedicated, paravirtual;
	enum v3m_code (*open)(struct v3m *v);
	void (*close)(struct v3m *v);
	enum v3m_code (*changed)(
		struct v3m *v); /* after a call that changed a machine; may be NULL */
	char *(*domain)(const struct v3m_profile *p, struct say *say);
	enum v3m_code (*define)(struct v3m *v, const struct v3m_profile *p, const char *domain);
	enum v3m_code (*start)(struct v3m *v, const char *name);
	enum v3m_code (*shutdown)(struct v3m *v, const char *name);
	enum v3m_code (*kill)(struct v3m *v, const char *name);
	enum v3m_code (*destroy)(struct v3m *v, const char *name);
	enum v3m_code (*pause)(struct v3m *v, const char *name);
	enum v3m_code (*resume)(struct v3m *v, const char *name);
	enum v3m_code (*status)(struct v3m *v, const char *name, struct v3m_info *info);
	enum v3m_code (*list)(struct v3m *v, v3m_list_fn *each, void *opaque);
	enum v3m_code (*checkpoint)(struct v3m *v, const char *name, const char *path);
	enum v3m_code (*restore)(struct v3m *v, const char *path);
	enum v3m_code (*migrate)(struct v3m *v, const char *name, const char *uri);
	enum v3m_code (*console)(struct v3m *v, const char *name, int in, int out);
};

extern const struct v3m_ops v3m_mock, v3m_qemu, v3m_kvm, v3m_xen, v3m_margay, v3m_boot, v3m_vmware;
extern const struct v3m_ops *const v3m_all_ops[];
extern const char v3m_dtd_text[];
extern const unsigned int v3m_dtd_length;

/* Reports a fault at a place of the file; returns V3M_INVALID. */
enum v3m_code say_at(struct say *say, struct place place, const char *format, ...)
	G_GNUC_PRINTF(3, 4);
/* Reports why a call failed; returns the code. */
enum v3m_code say_why(struct say *say, enum v3m_code code, const char *format, ...)
	G_GNUC_PRINTF(3, 4);

/* Finds the word nearest to one that is misspelled, or NULL if none is near. */
const char *suggest(const char *word, const char *const *words, unsigned int count);
const struct v3m_ops *find_ops(const char *type);
void profile_free(void *profile);
/* Checks values that several profiles must not share. */
enum v3m_code check_shared(const struct v3m_set *set, struct say *say);
/* Checks a machine against this host. */
enum v3m_code check_host(const struct v3m_profile *p, struct say *say);
/* Makes the images that are missing; on failure those it made are gone again. undo_images() removes them. */
enum v3m_code make_images(const struct v3m_profile *p, struct say *say, GPtrArray *made);
void undo_images(GPtrArray *made);

/* What all back-ends over libvirt share: lv.c and xml.c. */
enum v3m_code lv_open(struct v3m *v, const char *uri);
void lv_close(struct v3m *v);
enum v3m_code lv_error(struct v3m *v, const char *what);
char *lv_domain(const struct v3m_profile *p, struct say *say);
enum v3m_code lv_define(struct v3m *v, const struct v3m_profile *p, const char *domain);
enum v3m_code lv_start(struct v3m *v, const char *name);
enum v3m_code lv_shutdown(struct v3m *v, const char *name);
enum v3m_code lv_kill(struct v3m *v, const char *name);
enum v3m_code lv_destroy(struct v3m *v, const char *name);
enum v3m_code lv_pause(struct v3m *v, const char *name);
enum v3m_code lv_resume(struct v3m *v, const char *name);
enum v3m_code lv_status(struct v3m *v, const char *name, struct v3m_info *info);
enum v3m_code lv_list(struct v3m *v, v3m_list_fn *each, void *opaque);
enum v3m_code lv_checkpoint(struct v3m *v, const char *name, const char *path);
enum v3m_code lv_restore(struct v3m *v, const char *path);
enum v3m_code lv_migrate(struct v3m *v, const char *name, const char *uri);
enum v3m_code lv_console(struct v3m *v, const char *name, int in, int out);

#endif
