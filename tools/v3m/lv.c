/* SPDX-License-Identifier: BSD-2-Clause */
/* The operations of every back-end over libvirt. A connection belongs to one thread. */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <libvirt/virterror.h>

#include "internal.h"

/* Errors come back as codes; libvirt must not print them as well. */
static void quiet(void *opaque, virErrorPtr error)
{
	(void)opaque, (void)error;
}

enum v3m_code lv_error(struct v3m *v, const char *what)
{
	virErrorPtr error = virGetLastError();
	enum v3m_code code = V3M_FAILED;

	switch (error ? error->code : VIR_ERR_OK) {
	case VIR_ERR_NO_DOMAIN: code = V3M_NOT_FOUND; break;
	case VIR_ERR_DOM_EXIST: code = V3M_EXISTS; break;
	case VIR_ERR_OPERATION_INVALID: code = V3M_STATE; break;
	case VIR_ERR_NO_SUPPORT:
	case VIR_ERR_OPERATION_UNSUPPORTED:
	case VIR_ERR_CONFIG_UNSUPPORTED:
	case VIR_ERR_ARGUMENT_UNSUPPORTED: code = V3M_UNSUPPORTED; break;
	case VIR_ERR_AUTH_FAILED:
	case VIR_ERR_AUTH_UNAVAILABLE:
	case VIR_ERR_AUTH_CANCELLED:
	case VIR_ERR_ACCESS_DENIED:
	case VIR_ERR_OPERATION_DENIED: code = V3M_DENIED; break;
	case VIR_ERR_NO_CONNECT:
	case VIR_ERR_RPC: code = V3M_NO_BACKEND; break;
	}
	if (error && error->code == VIR_ERR_SYSTEM_ERROR && error->int1 == EACCES)
		code = V3M_DENIED;
	return say_why(&v->say, code, "%s: %s", what,
		       error && error->message ? error->message : v3m_strerror(code));
}

enum v3m_code lv_open(struct v3m *v, const char *uri)
{
	enum v3m_code code;

	virSetErrorFunc(NULL, quiet);
	virEventRegisterDefaultImpl(); /* for consoles; a program's own that is there already stays */
	v->libvirt = virConnectOpen(uri);
	if (v->libvirt)
		return V3M_OK;
	code = lv_error(v, v->ops->name);
	return code == V3M_DENIED ? code : V3M_NO_BACKEND;
}

void lv_close(struct v3m *v)
{
	virConnectClose(v->libvirt);
}

/* Finds a machine that writes to the image, too; its name is new, or NULL. */
static char *image_user(virDomainPtr *domains, int count, const char *path)
{
	char *quoted = g_markup_escape_text(path, -1),
	     *source = g_strdup_printf("file='%s'", quoted), *user = NULL;

	for (int i = 0; i < count && !user; i++) {
		char *xml = virDomainGetXMLDesc(domains[i], 0),
		     *disk = xml ? strstr(xml, source) : NULL;
		char *disk_end = disk ? strstr(disk, "</disk>") : NULL;
		char *read_only = disk ? strstr(disk, "<readonly/>") : NULL;

		if (disk_end && (!read_only || read_only > disk_end))
			user = g_strdup(virDomainGetName(domains[i]));
		free(xml);
	}
	g_free(source);
	g_free(quoted);
	return user;
}

static enum v3m_code check_images_free(struct v3m *v, const struct v3m_profile *p)
{
	virDomainPtr *domains;
	int count = virConnectListAllDomains(v->libvirt, &domains, 0);
	enum v3m_code code = V3M_OK;

	if (count < 0)
		return lv_error(v, p->name);
	for (unsigned int i = 0; i < p->images->len && !code; i++) {
		const struct image *image = &g_array_index(p->images, struct image, i);
		char *user = image->read_only ? NULL : image_user(domains, count, image->path);

		if (user)
			code = say_why(&v->say, V3M_INVALID,
				       "the image '%s' is already in use by '%s'", image->path,
				       user);
		g_free(user);
	}
	for (int i = 0; i < count; i++)
		virDomainFree(domains[i]);
	free(domains);
	return code;
}

enum v3m_code lv_define(struct v3m *v, const struct v3m_profile *p, const char *xml)
{
	virDomainPtr domain = virDomainLookupByName(v->libvirt, p->name);
	enum v3m_code code;

	if (domain) {
		virDomainFree(domain);
		return say_why(&v->say, V3M_EXISTS, "%s has a machine '%s' already", v->ops->name,
			       p->name);
	}
	if (virGetLastErrorCode() != VIR_ERR_NO_DOMAIN)
		return lv_error(v, p->name);
	code = check_images_free(v, p);
	if (code)
		return code;
	domain = virDomainDefineXML(v->libvirt, xml);
	if (!domain)
		return lv_error(v, p->name);
	virDomainFree(domain);
	return V3M_OK;
}

/* Runs one call of libvirt on the machine of that name. */
static enum v3m_code on_domain(struct v3m *v, const char *name, int (*call)(virDomainPtr))
{
	virDomainPtr domain = virDomainLookupByName(v->libvirt, name);
	enum v3m_code code = V3M_OK;

	if (!domain || call(domain) < 0)
		code = lv_error(v, name);
	if (domain)
		virDomainFree(domain);
	return code;
}

/* Drivers differ in what they answer for a wrong state, so the state is looked at first. */
static enum v3m_code in_state(struct v3m *v, const char *name, bool off, bool running, bool paused,
			      int (*call)(virDomainPtr))
{
	struct v3m_info info;
	enum v3m_code code = lv_status(v, name, &info);

	if (code)
		return code;
	if (info.state == V3M_OFF ? !off : info.state == V3M_RUNNING ? !running : !paused)
		return say_why(&v->say, V3M_STATE, "%s is %s", name, v3m_state_name(info.state));
	return call ? on_domain(v, name, call) : V3M_OK;
}

enum v3m_code lv_start(struct v3m *v, const char *name)
{
	return in_state(v, name, true, false, false, virDomainCreate);
}

enum v3m_code lv_shutdown(struct v3m *v, const char *name)
{
	return in_state(v, name, false, true, false, virDomainShutdown);
}

enum v3m_code lv_kill(struct v3m *v, const char *name)
{
	return in_state(v, name, false, true, true, virDomainDestroy);
}

enum v3m_code lv_pause(struct v3m *v, const char *name)
{
	return in_state(v, name, false, true, false, virDomainSuspend);
}

enum v3m_code lv_resume(struct v3m *v, const char *name)
{
	return in_state(v, name, false, false, true, virDomainResume);
}

enum v3m_code lv_destroy(struct v3m *v, const char *name)
{
	struct v3m_info info;
	enum v3m_code code = lv_status(v, name, &info);

	if (!code && info.state != V3M_OFF)
		code = on_domain(v, name, virDomainDestroy);
	return code ? code : on_domain(v, name, virDomainUndefine);
}

enum v3m_code lv_status(struct v3m *v, const char *name, struct v3m_info *info)
{
	virDomainPtr domain = virDomainLookupByName(v->libvirt, name);
	virDomainInfo got;
	enum v3m_code code = V3M_OK;

	if (!domain || virDomainGetInfo(domain, &got) < 0) {
		code = lv_error(v, name);
	} else {
		info->state = got.state == VIR_DOMAIN_PAUSED ? V3M_PAUSED :
			      got.state == VIR_DOMAIN_SHUTOFF || got.state == VIR_DOMAIN_CRASHED ?
							       V3M_OFF :
							       V3M_RUNNING;
		info->memory = got.maxMem * 1024ull;
		info->cpus = got.nrVirtCpu;
		info->cpu_time = got.cpuTime;
	}
	if (domain)
		virDomainFree(domain);
	return code;
}

/* One call for each state, as not every driver tells the states of all machines at once. */
enum v3m_code lv_list(struct v3m *v, v3m_list_fn *each, void *opaque)
{
	static const struct {
		enum v3m_state state;
		unsigned int flags;
	} kinds[] = {
		{ V3M_RUNNING, VIR_CONNECT_LIST_DOMAINS_RUNNING },
		{ V3M_PAUSED, VIR_CONNECT_LIST_DOMAINS_PAUSED },
		{ V3M_OFF, VIR_CONNECT_LIST_DOMAINS_SHUTOFF | VIR_CONNECT_LIST_DOMAINS_OTHER },
	};

	for (unsigned int i = 0; i < G_N_ELEMENTS(kinds); i++) {
		virDomainPtr *domains;
		int count = virConnectListAllDomains(v->libvirt, &domains, kinds[i].flags);

		if (count < 0)
			return lv_error(v, v->ops->name);
		for (int j = 0; j < count; j++) {
			each(opaque, virDomainGetName(domains[j]), kinds[i].state);
			virDomainFree(domains[j]);
		}
		free(domains);
	}
	return V3M_OK;
}

enum v3m_code lv_checkpoint(struct v3m *v, const char *name, const char *path)
{
	enum v3m_code code = in_state(v, name, false, true, true, NULL);
	virDomainPtr domain;

	if (code)
		return code;
	domain = virDomainLookupByName(v->libvirt, name);
	if (!domain || virDomainSave(domain, path) < 0)
		code = lv_error(v, name);
	if (domain)
		virDomainFree(domain);
	return code;
}

enum v3m_code lv_restore(struct v3m *v, const char *path)
{
	if (access(path, F_OK))
		return say_why(&v->say, V3M_NOT_FOUND, "%s: %s", path, g_strerror(errno));
	return virDomainRestore(v->libvirt, path) < 0 ? lv_error(v, path) : V3M_OK;
}

enum v3m_code lv_migrate(struct v3m *v, const char *name, const char *uri)
{
	enum v3m_code code = in_state(v, name, false, true, false, NULL);
	virDomainPtr domain;

	if (code)
		return code;
	domain = virDomainLookupByName(v->libvirt, name);
	if (!domain || virDomainMigrateToURI3(domain, uri, NULL, 0,
					      VIR_MIGRATE_LIVE | VIR_MIGRATE_PEER2PEER) < 0)
		code = lv_error(v, name);
	if (domain)
		virDomainFree(domain);
	return code;
}

#define ESCAPE 0x1d /* Ctrl-] */

static void wake(int timer, void *opaque)
{
	(void)timer, (void)opaque;
}

/*
 * Copies bytes both ways until the user or the machine ends it. The console's stream does not block; its bytes
 * arrive while the event loop runs, which the timer ends.
 */
static enum v3m_code copy_console(struct v3m *v, virStreamPtr stream, int in, int out)
{
	char buffer[4096];
	struct pollfd poller = { .fd = in, .events = POLLIN };

	for (;;) {
		int got = virStreamRecv(stream, buffer, sizeof(buffer));
		ssize_t typed;

		if (got == -1)
			return lv_error(v, "console");
		if (got == 0)
			return V3M_OK;
		if (got > 0 && write(out, buffer, (size_t)got) != got)
			return V3M_OK;
		if (virEventRunDefaultImpl() < 0)
			return lv_error(v, "console");
		if (poll(&poller, 1, 0) <= 0)
			continue;
		typed = read(in, buffer, sizeof(buffer));
		if (typed <= 0 || memchr(buffer, ESCAPE, (size_t)typed))
			return V3M_OK;
		if (virStreamSend(stream, buffer, (size_t)typed) == -1)
			return lv_error(v, "console");
	}
}

enum v3m_code lv_console(struct v3m *v, const char *name, int in, int out)
{
	enum v3m_code code = in_state(v, name, false, true, true, NULL);
	virDomainPtr domain;
	virStreamPtr stream;
	int timer;

	if (code)
		return code;
	timer = virEventAddTimeout(20, wake, NULL, NULL);
	domain = virDomainLookupByName(v->libvirt, name);
	stream = virStreamNew(v->libvirt, VIR_STREAM_NONBLOCK);
	if (!domain || !stream || virDomainOpenConsole(domain, NULL, stream, 0) < 0)
		code = lv_error(v, name);
	else
		code = copy_console(v, stream, in, out);
	virEventRemoveTimeout(timer);
	if (stream) {
		virStreamAbort(stream);
		virStreamFree(stream);
	}
	if (domain)
		virDomainFree(domain);
	return code;
}
