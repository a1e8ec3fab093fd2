/* SPDX-License-Identifier: BSD-2-Clause */
/* The calls of libv3m on connections: each goes to the back-end's operation, or is unsupported. */
#include <stdlib.h>
#include <string.h>

#include "internal.h"

const struct v3m_ops *const v3m_all_ops[] = { &v3m_mock,   &v3m_qemu, &v3m_kvm,	   &v3m_xen,
					      &v3m_margay, &v3m_boot, &v3m_vmware, NULL };

const struct v3m_ops *find_ops(const char *type)
{
	for (unsigned int i = 0; type && v3m_all_ops[i]; i++)
		if (!g_ascii_strcasecmp(type, v3m_all_ops[i]->name))
			return v3m_all_ops[i];
	return NULL;
}

enum v3m_code v3m_open(const char *type, struct v3m **connection, v3m_message_fn *fn, void *opaque)
{
	const struct v3m_ops *ops = find_ops(type);
	struct v3m *v;
	enum v3m_code code;

	if (!ops || !connection)
		return V3M_USAGE;
	v = g_new0(struct v3m, 1);
	v->ops = ops;
	v->say = (struct say){ fn, opaque, ops->name, false };
	v->lock = -1;
	code = ops->open(v);
	if (code) {
		g_free(v);
		v = NULL;
	}
	*connection = v;
	return code;
}

void v3m_close(struct v3m *v)
{
	if (!v)
		return;
	v->ops->close(v);
	g_free(v);
}

char *v3m_domain(const struct v3m_profile *p, v3m_message_fn *fn, void *opaque)
{
	struct say say = { fn, opaque, p->file, false };
	char *text = p->ops->domain(p, &say), *copy = text ? strdup(text) : NULL;

	g_free(text);
	return copy;
}

static enum v3m_code changed(struct v3m *v, enum v3m_code code)
{
	return code || !v->ops->changed ? code : v->ops->changed(v);
}

enum v3m_code vm_create(struct v3m *v, const struct v3m_profile *p)
{
	struct say say = v->say;
	GPtrArray *made;
	char *domain;
	enum v3m_code code;

	if (p->ops != v->ops)
		return V3M_USAGE;
	say.file = p->file;
	say.failed = false;
	domain = p->ops->domain(p, &say);
	if (!domain)
		return V3M_UNSUPPORTED;
	code = check_host(p, &say);
	made = g_ptr_array_new_with_free_func(g_free);
	if (!code)
		code = make_images(p, &say, made);
	if (!code) {
		code = changed(v, v->ops->define(v, p, domain));
		if (code)
			undo_images(made);
	}
	g_ptr_array_free(made, TRUE);
	g_free(domain);
	return code;
}

static enum v3m_code unsupported(struct v3m *v, const char *what)
{
	return say_why(&v->say, V3M_UNSUPPORTED, "%s cannot %s", v->ops->name, what);
}

/* A public call that names a machine and changes it. */
#define CALL(op)                                                                           \
	enum v3m_code v3m_##op(struct v3m *v, const char *name)                            \
	{                                                                                  \
		return v->ops->op ? changed(v, v->ops->op(v, name)) : unsupported(v, #op); \
	}

CALL(start)
CALL(shutdown)
CALL(kill)
CALL(destroy)
CALL(pause)
CALL(resume)
CALL(restore)

enum v3m_code v3m_checkpoint(struct v3m *v, const char *name, const char *path)
{
	return v->ops->checkpoint ? changed(v, v->ops->checkpoint(v, name, path)) :
				    unsupported(v, "checkpoint");
}

enum v3m_code v3m_migrate(struct v3m *v, const char *name, const char *uri)
{
	return v->ops->migrate ? changed(v, v->ops->migrate(v, name, uri)) :
				 unsupported(v, "migrate");
}

enum v3m_code v3m_status(struct v3m *v, const char *name, struct v3m_info *info)
{
	return v->ops->status(v, name, info);
}

enum v3m_code v3m_list(struct v3m *v, v3m_list_fn *each, void *opaque)
{
	return v->ops->list(v, each, opaque);
}

enum v3m_code v3m_console(struct v3m *v, const char *name, int in, int out)
{
	return v->ops->console ? v->ops->console(v, name, in, out) : unsupported(v, "console");
}

void v3m_backends(v3m_backend_fn *each, void *opaque)
{
	for (unsigned int i = 0; v3m_all_ops[i]; i++) {
		const struct v3m_ops *o = v3m_all_ops[i];
		char *missing =
			g_strconcat(o->start ? "" : "start ", o->shutdown ? "" : "shutdown ",
				    o->kill ? "" : "kill ", o->pause ? "" : "pause ",
				    o->resume ? "" : "resume ", o->checkpoint ? "" : "checkpoint ",
				    o->restore ? "" : "restore ", o->migrate ? "" : "migrate ",
				    o->console ? "" : "console ", NULL);

		each(opaque, o->name, o->package, g_strchomp(missing));
		g_free(missing);
	}
}
