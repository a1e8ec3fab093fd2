/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * No hypervisor: libvirt's test driver, which keeps its machines in the process. So that they live from one command to
 * the next, they are written to a file after each change and read at the next connection; a lock makes commands take
 * turns.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "internal.h"

#define EMPTY "<node/>"

static char *state_path(void)
{
	const char *path = g_getenv("V3M_MOCK");

	return path ? g_strdup(path) :
		      g_build_filename(g_get_user_data_dir(), "v3m", "mock.xml", NULL);
}

static int take_lock(const char *path)
{
	char *name = g_strconcat(path, ".lock", NULL), *directory = g_path_get_dirname(path);
	int fd;

	g_mkdir_with_parents(directory, 0755);
	fd = open(name, O_CREAT | O_RDWR | O_CLOEXEC, 0644);
	g_free(directory);
	g_free(name);
	if (fd >= 0 && flock(fd, LOCK_EX)) {
		close(fd);
		fd = -1;
	}
	return fd;
}

static enum v3m_code mock_open(struct v3m *v)
{
	char *path = state_path(), *uri = g_strconcat("test://", path, NULL);
	enum v3m_code code = V3M_OK;

	v->lock = take_lock(path);
	if (v->lock < 0)
		code = say_why(&v->say, errno == EACCES ? V3M_DENIED : V3M_FAILED, "%s: %s", path,
			       g_strerror(errno));
	else if (access(path, F_OK) && !g_file_set_contents(path, EMPTY, -1, NULL))
		code = say_why(&v->say, V3M_DENIED, "cannot write '%s'", path);
	if (!code)
		code = lv_open(v, uri);
	if (code && v->lock >= 0)
		close(v->lock);
	g_free(uri);
	g_free(path);
	return code;
}

static void mock_close(struct v3m *v)
{
	lv_close(v);
	close(v->lock);
}

/* Appends a machine as the driver reads it back: its XML with its state inside. */
static bool append(GString *text, virDomainPtr domain)
{
	char *xml = virDomainGetXMLDesc(domain, 0), *body = xml ? strchr(xml, '>') : NULL;
	int state = VIR_DOMAIN_SHUTOFF;

	if (body && virDomainGetState(domain, &state, NULL, 0) == 0)
		g_string_append_printf(
			text,
			"<domain type='test' xmlns:test='http://libvirt.org/schemas/domain/test/1.0'>"
			"<test:runstate>%d</test:runstate>%s",
			state == VIR_DOMAIN_PAUSED || state == VIR_DOMAIN_RUNNING ?
				state :
				VIR_DOMAIN_SHUTOFF,
			body + 1);
	free(xml);
	return body;
}

static enum v3m_code mock_changed(struct v3m *v)
{
	GString *text = g_string_new("<node>");
	char *path = state_path();
	virDomainPtr *domains;
	int count = virConnectListAllDomains(v->libvirt, &domains, 0);
	bool good = count >= 0;

	for (int i = 0; i < count; i++) {
		good = append(text, domains[i]) && good;
		virDomainFree(domains[i]);
	}
	if (count >= 0)
		free(domains);
	g_string_append(text, "</node>");
	good = good && g_file_set_contents(path, text->str, -1, NULL);
	g_string_free(text, TRUE);
	g_free(path);
	return good ? V3M_OK : say_why(&v->say, V3M_FAILED, "cannot store mock's machines");
}

const struct v3m_ops v3m_mock = {
	.name = "mock",
	.package = "libvirt0",
	.domain_type = "test",
	.tap = "ethernet",
	.open = mock_open,
	.changed = mock_changed,
	.close = mock_close,
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
};
