/* SPDX-License-Identifier: BSD-2-Clause */
/* What profiles must not share with each other, and whether this host has what they name. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "internal.h"

#define DRIVERS "/usr/lib/x86_64-linux-gnu/libvirt/connection-driver/"

/* Reports a key that another profile has too. */
static void claim(GHashTable *seen, const char *key, struct place place, const char *what,
		  struct say *say)
{
	const struct place *first = g_hash_table_lookup(seen, key);

	if (!first)
		g_hash_table_insert(seen, g_strdup(key), g_memdup2(&place, sizeof(place)));
	else
		say_at(say, place, "%s '%s' is used twice; first in line %d", what, key,
		       first->line);
}

enum v3m_code check_shared(const struct v3m_set *set, struct say *say)
{
	GHashTable *names = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
	GHashTable *macs = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
	GHashTable *images = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
	GHashTable *devices = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);

	for (unsigned int i = 0; i < set->profiles->len; i++) {
		const struct v3m_profile *p = set->profiles->pdata[i];

		claim(names, p->name, p->name_place, "the name", say);
		for (unsigned int j = 0; j < p->images->len; j++) {
			const struct image *image = &g_array_index(p->images, struct image, j);

			if (!image->read_only)
				claim(images, image->path, image->place, "the image", say);
		}
		for (unsigned int j = 0; j < V3M_NICS; j++) {
			const struct nic *nic = &p->nic[j];
			char *mac = nic->mac ? g_ascii_strdown(nic->mac, -1) : NULL;

			if (mac)
				claim(macs, mac, nic->place, "the MAC", say);
			if (nic->device)
				claim(devices, nic->device, nic->place, "the device", say);
			if (nic->network && set->name &&
			    !g_hash_table_contains(set->networks, nic->network))
				say_at(say, nic->place, "the set has no network '%s'",
				       nic->network);
			g_free(mac);
		}
	}
	g_hash_table_destroy(names);
	g_hash_table_destroy(macs);
	g_hash_table_destroy(images);
	g_hash_table_destroy(devices);
	return say->failed ? V3M_INVALID : V3M_OK;
}

static void check_file(const char *path, struct place place, const char *what, struct say *say)
{
	struct stat st;

	if (stat(path, &st))
		say_at(say, place, "%s '%s': %s", what, path, g_strerror(errno));
	else if (!S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode))
		say_at(say, place, "%s '%s' is not a file", what, path);
	else if (access(path, R_OK))
		say_at(say, place, "%s '%s' may not be read", what, path);
}

/* An image that is missing is made if the profile says its size. */
static void check_image(const struct image *image, struct say *say)
{
	struct stat st;

	if (stat(image->path, &st)) {
		if (errno == EACCES)
			say_at(say, image->place, "no rights to reach the image '%s'", image->path);
		else if (errno != ENOENT || image->read_only)
			say_at(say, image->place, "the image '%s': %s", image->path,
			       g_strerror(errno));
		else if (!image->size)
			say_at(say, image->place,
			       "the image '%s' is missing; with size= it would be made",
			       image->path);
		return;
	}
	check_file(image->path, image->place, "the image", say);
	if (!image->read_only && access(image->path, W_OK))
		say_at(say, image->place,
		       "the image '%s' may not be written; mode=\"ro\" reads only", image->path);
	if (S_ISREG(st.st_mode) && !strcmp(image->format, "raw") &&
	    (unsigned long long)st.st_size < image->size)
		say_at(say, image->place,
		       "the image '%s' has %llu MiB, too small: the profile says %llu", image->path,
		       (unsigned long long)st.st_size / MIB, image->size / MIB);
}

static void check_nic(const struct nic *nic, struct say *say)
{
	char *path;

	if (nic->type == NIC_BRIDGE) {
		path = g_strdup_printf("/sys/class/net/%s/bridge", nic->bridge);
		if (access(path, F_OK))
			say_at(say, nic->place, "there is no bridge '%s'", nic->bridge);
		g_free(path);
	} else if (nic->type == NIC_PCI) {
		path = g_strdup_printf("/sys/bus/pci/devices/%s", nic->device);
		if (access(path, F_OK))
			say_at(say, nic->place, "there is no PCI function %s", nic->device);
		g_free(path);
	}
}

enum v3m_code check_host(const struct v3m_profile *p, struct say *say)
{
	const char *drivers = g_getenv("V3M_DRIVERS");
	char *driver = p->ops->driver ?
			       g_strconcat(drivers ? drivers : DRIVERS, p->ops->driver, NULL) :
			       NULL;

	if (driver && access(driver, R_OK))
		say_at(say, p->type_place, "%s is not installed: it comes with the package %s",
		       p->ops->name, p->ops->package);
	g_free(driver);
	if (p->kernel)
		check_file(p->kernel, p->kernel_place, "the kernel", say);
	if (p->initrd)
		check_file(p->initrd, p->initrd_place, "the initrd", say);
	for (unsigned int i = 0; i < p->images->len; i++)
		check_image(&g_array_index(p->images, struct image, i), say);
	for (unsigned int i = 0; i < V3M_NICS; i++)
		check_nic(&p->nic[i], say);
	return say->failed ? V3M_INVALID : V3M_OK;
}

enum v3m_code v3m_check(const struct v3m_set *set, unsigned int flags, v3m_message_fn *fn,
			void *opaque)
{
	struct say say = { fn, opaque, set->file, false };

	check_shared(set, &say);
	for (unsigned int i = 0; i < set->profiles->len; i++) {
		const struct v3m_profile *p = set->profiles->pdata[i];
		char *domain = p->ops->domain(p, &say);

		g_free(domain);
		if (flags & V3M_CHECK_HOST)
			check_host(p, &say);
	}
	return say.failed ? V3M_INVALID : V3M_OK;
}
