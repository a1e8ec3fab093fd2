/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Makes images. An image comes into being by a rename, so a call that is killed leaves at most PATH.v3m-new, which the
 * next call replaces. qcow2 is qemu-img's work.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "internal.h"

static enum v3m_code make_raw(const char *path, unsigned long long size, struct say *say)
{
	int fd = open(path, O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC | O_NOFOLLOW, 0644);
	int error = fd < 0 || ftruncate(fd, (off_t)size) || fsync(fd) ? errno : 0;

	if (fd >= 0)
		close(fd);
	if (!error)
		return V3M_OK;
	return say_why(say, error == EACCES ? V3M_DENIED : V3M_FAILED, "cannot make '%s': %s", path,
		       g_strerror(error));
}

static enum v3m_code make_qcow2(const char *path, unsigned long long size, struct say *say)
{
	char *bytes = g_strdup_printf("%llu", size), *errors = NULL;
	const char *argv[] = { "qemu-img", "create", "-q", "-f", "qcow2", "--", path, bytes, NULL };
	GError *error = NULL;
	enum v3m_code code = V3M_OK;
	int status;

	if (!g_spawn_sync(NULL, (char **)argv, NULL, G_SPAWN_SEARCH_PATH, NULL, NULL, NULL, &errors,
			  &status, &error) ||
	    !g_spawn_check_wait_status(status, &error))
		code = say_why(say, V3M_FAILED,
			       "cannot make '%s' by qemu-img (package qemu-utils): %s %s", path,
			       error->message, errors ? g_strstrip(errors) : "");
	g_clear_error(&error);
	g_free(errors);
	g_free(bytes);
	return code;
}

static enum v3m_code make_image(const struct image *image, struct say *say)
{
	char *temporary = g_strconcat(image->path, ".v3m-new", NULL),
	     *directory = g_path_get_dirname(image->path);
	enum v3m_code code = V3M_OK;

	if (g_mkdir_with_parents(directory, 0755))
		code = say_why(say, errno == EACCES ? V3M_DENIED : V3M_FAILED,
			       "cannot make the directory '%s': %s", directory, g_strerror(errno));
	if (!code)
		code = strcmp(image->format, "raw") ? make_qcow2(temporary, image->size, say) :
						      make_raw(temporary, image->size, say);
	if (!code &&
	    link(temporary,
		 image->path)) /* unlike rename(), fails if someone else made it meanwhile */
		code = say_why(say, V3M_FAILED, "cannot make '%s': %s", image->path,
			       g_strerror(errno));
	unlink(temporary);
	g_free(temporary);
	g_free(directory);
	return code;
}

enum v3m_code make_images(const struct v3m_profile *p, struct say *say, GPtrArray *made)
{
	for (unsigned int i = 0; i < p->images->len; i++) {
		const struct image *image = &g_array_index(p->images, struct image, i);
		enum v3m_code code;

		if (!access(image->path, F_OK))
			continue;
		code = make_image(image, say);
		if (code) {
			undo_images(made);
			return code;
		}
		g_ptr_array_add(made, g_strdup(image->path));
	}
	return V3M_OK;
}

void undo_images(GPtrArray *made)
{
	for (unsigned int i = 0; i < made->len; i++)
		unlink(made->pdata[i]);
	g_ptr_array_set_size(made, 0);
}
