/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A node without a control domain: Margay starts the machine itself, from modules that GRUB loads. A machine is a file
 * of GRUB lines, NAME.cfg, in a directory. The node's menu entry has to `source` it,
 * which 20_margay does not do. Whether it runs is known only to the node.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "internal.h"

static char *directory(void)
{
	const char *path = g_getenv("V3M_BOOT");

	return g_strdup(path ? path : "/boot/v3m");
}

static char *file_of(const char *name)
{
	char *dir = directory(), *file = g_strconcat(dir, "/", name, ".cfg", NULL);

	g_free(dir);
	return file;
}

static enum v3m_code boot_open(struct v3m *v)
{
	(void)v;
	return V3M_OK;
}

static void boot_close(struct v3m *v)
{
	(void)v;
}

/* GRUB's words: text of a profile goes between single quotes and must have none. */
static bool quotable(const char *text)
{
	return !text || !strpbrk(text, "'\n");
}

static char *boot_domain(const struct v3m_profile *p, struct say *say)
{
	GString *text;

	if (!p->kernel) {
		say_at(say, p->place,
		       "boot needs a <kernel>: without a control domain no image is read");
		return NULL;
	}
	if (p->images->len || p->nic[0].type != NIC_NONE) {
		say_at(say, p->place,
		       "boot has no images and no NICs: they are a control domain's");
		return NULL;
	}
	if (!quotable(p->kernel) || !quotable(p->initrd) || !quotable(p->cmdline)) {
		say_at(say, p->place,
		       "a ' in <kernel>, <initrd> or <cmdline> cannot go into GRUB's menu");
		return NULL;
	}
	text = g_string_new(NULL);
	g_string_append_printf(text, "module2 '%s' guest name=%s vcpus=%u mem=%lluM", p->kernel,
			       p->name, p->cpus, p->memory / MIB);
	if (p->dedicated)
		g_string_append_printf(text, " dedicated%s%s", p->pin ? "=" : "",
				       p->pin ? p->pin : "");
	else if (p->pin)
		g_string_append_printf(text, " pin=%s", p->pin);
	if (p->cmdline)
		g_string_append_printf(text, " -- '%s'", p->cmdline);
	g_string_append_c(text, '\n');
	if (p->initrd)
		g_string_append_printf(text, "module2 '%s' initrd for=%s\n", p->initrd, p->name);
	return g_string_free(text, FALSE);
}

static enum v3m_code boot_define(struct v3m *v, const struct v3m_profile *p, const char *domain)
{
	char *file = file_of(p->name), *dir = directory();
	GError *error = NULL;
	enum v3m_code code = V3M_OK;

	if (!access(file, F_OK))
		code = say_why(&v->say, V3M_EXISTS, "boot has a machine '%s' already", p->name);
	else if (g_mkdir_with_parents(dir, 0755) || !g_file_set_contents(file, domain, -1, &error))
		code = say_why(&v->say, V3M_DENIED, "cannot write '%s': %s", file,
			       error ? error->message : g_strerror(errno));
	g_clear_error(&error);
	g_free(dir);
	g_free(file);
	return code;
}

static enum v3m_code boot_destroy(struct v3m *v, const char *name)
{
	char *file = file_of(name);
	enum v3m_code code = V3M_OK;

	if (strchr(name, '/') || unlink(file))
		code = say_why(&v->say, errno == EACCES ? V3M_DENIED : V3M_NOT_FOUND,
			       "boot has no machine '%s'", name);
	g_free(file);
	return code;
}

static enum v3m_code boot_status(struct v3m *v, const char *name, struct v3m_info *info)
{
	char *file = file_of(name);
	bool there = !strchr(name, '/') && !access(file, F_OK);

	memset(info, 0, sizeof(*info));
	g_free(file);
	return there ? V3M_OK : say_why(&v->say, V3M_NOT_FOUND, "boot has no machine '%s'", name);
}

static enum v3m_code boot_list(struct v3m *v, v3m_list_fn *each, void *opaque)
{
	char *path = directory(), *name;
	GDir *dir = g_dir_open(path, 0, NULL);
	const char *file;

	(void)v;
	while (dir && (file = g_dir_read_name(dir))) {
		if (!g_str_has_suffix(file, ".cfg"))
			continue;
		name = g_strndup(file, strlen(file) - 4);
		each(opaque, name, V3M_OFF);
		g_free(name);
	}
	if (dir)
		g_dir_close(dir);
	g_free(path);
	return V3M_OK;
}

const struct v3m_ops v3m_boot = {
	.name = "boot",
	.package = "margay",
	.dedicated = true,
	.open = boot_open,
	.close = boot_close,
	.domain = boot_domain,
	.define = boot_define,
	.destroy = boot_destroy,
	.status = boot_status,
	.list = boot_list,
};
