/* SPDX-License-Identifier: BSD-2-Clause */
/* Writes libvirt's XML for a domain. Text from a profile passes through libxml2's writer, which quotes it. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <libxml/xmlwriter.h>

#include "internal.h"

/* A PVH machine without a kernel of its own boots by GRUB from its first image (package grub-xen-host). */
#define PVGRUB "/usr/lib/grub-xen/grub-i386-xen_pvh.bin"

#define X(s) ((const xmlChar *)(s))

static void leaf(xmlTextWriterPtr w, const char *name, const char *text)
{
	if (text)
		xmlTextWriterWriteElement(w, X(name), X(text));
}

static void begin(xmlTextWriterPtr w, const char *name)
{
	xmlTextWriterStartElement(w, X(name));
}

static void attr(xmlTextWriterPtr w, const char *name, const char *value)
{
	if (value)
		xmlTextWriterWriteAttribute(w, X(name), X(value));
}

static void end(xmlTextWriterPtr w)
{
	xmlTextWriterEndElement(w);
}

/* An element with one attribute. */
static void single(xmlTextWriterPtr w, const char *name, const char *attribute, const char *value)
{
	begin(w, name);
	attr(w, attribute, value);
	end(w);
}

static void write_os(xmlTextWriterPtr w, const struct v3m_profile *p)
{
	begin(w, "os");
	begin(w, "type");
	if (p->ops != &v3m_mock)
		attr(w, "arch", p->arch);
	if (p->ops->paravirtual)
		attr(w, "machine", "xenpvh");
	xmlTextWriterWriteString(w, X(p->ops->paravirtual ? "xenpvh" : "hvm"));
	end(w);
	leaf(w, "kernel", p->kernel || !p->ops->paravirtual ? p->kernel : PVGRUB);
	leaf(w, "initrd", p->initrd);
	leaf(w, "cmdline", p->cmdline);
	end(w);
}

static void write_image(xmlTextWriterPtr w, const struct v3m_profile *p, const struct image *image,
			unsigned int index)
{
	char target[8];

	g_snprintf(target, sizeof(target), "%s%c",
		   p->ops->paravirtual ? "xvd" :
		   image->cdrom        ? "sd" :
					 "vd",
		   'a' + (int)index);
	begin(w, "disk");
	attr(w, "type", "file");
	attr(w, "device", image->cdrom && !p->ops->paravirtual ? "cdrom" : "disk");
	if (!p->ops->paravirtual ||
	    strcmp(image->format, "raw")) { /* Xen's own block back-end serves raw */
		begin(w, "driver");
		attr(w, "name", "qemu");
		attr(w, "type", image->format);
		end(w);
	}
	single(w, "source", "file", image->path);
	begin(w, "target");
	attr(w, "dev", target);
	attr(w, "bus", p->ops->paravirtual ? "xen" : image->cdrom ? "sata" : "virtio");
	end(w);
	if (image->read_only) {
		begin(w, "readonly");
		end(w);
	}
	end(w);
}

static void write_pci(xmlTextWriterPtr w, const struct nic *nic)
{
	unsigned int domain, bus, device, function;
	char text[16];

	if (sscanf(nic->device, "%x:%x:%x.%x", &domain, &bus, &device, &function) != 4)
		return;
	begin(w, "hostdev");
	attr(w, "mode", "subsystem");
	attr(w, "type", "pci");
	attr(w, "managed", "yes");
	begin(w, "source");
	begin(w, "address");
	g_snprintf(text, sizeof(text), "0x%04x", domain);
	attr(w, "domain", text);
	g_snprintf(text, sizeof(text), "0x%02x", bus);
	attr(w, "bus", text);
	g_snprintf(text, sizeof(text), "0x%02x", device);
	attr(w, "slot", text);
	g_snprintf(text, sizeof(text), "0x%x", function);
	attr(w, "function", text);
	end(w);
	end(w);
	end(w);
}

static void write_nic(xmlTextWriterPtr w, const struct v3m_profile *p, const struct nic *nic)
{
	const char *type = nic->type == NIC_TAP     ? p->ops->tap :
			   nic->type == NIC_BRIDGE  ? "bridge" :
			   nic->type == NIC_NETWORK ? "network" :
						      "user";

	/* A user's own session may not make tap devices: QEMU's user network stands in for them. */
	if (!strcmp(type, "ethernet") && geteuid())
		type = "user";
	begin(w, "interface");
	attr(w, "type", type);
	if (nic->mac)
		single(w, "mac", "address", nic->mac);
	if (nic->type == NIC_BRIDGE)
		single(w, "source", "bridge", nic->bridge);
	if (nic->type == NIC_NETWORK)
		single(w, "source", "network", nic->network);
	if (p->ops == &v3m_qemu || p->ops == &v3m_kvm)
		single(w, "model", "type", "virtio");
	end(w);
}

static void write_devices(xmlTextWriterPtr w, const struct v3m_profile *p)
{
	begin(w, "devices");
	for (unsigned int i = 0; i < p->images->len; i++)
		write_image(w, p, &g_array_index(p->images, struct image, i), i);
	for (unsigned int i = 0; i < V3M_NICS; i++) {
		if (p->nic[i].type == NIC_PCI)
			write_pci(w, &p->nic[i]);
		else if (p->nic[i].type != NIC_NONE)
			write_nic(w, p, &p->nic[i]);
	}
	if (!p->serial || strcmp(p->serial, "none")) {
		begin(w, "console");
		attr(w, "type", "pty");
		single(w, "target", "type", p->ops->paravirtual ? "xen" : "serial");
		end(w);
	}
	end(w);
}

/* Each CPU of a machine with pinning gets the same list. */
static void write_cputune(xmlTextWriterPtr w, const struct v3m_profile *p)
{
	char number[16];

	if (!p->pin)
		return;
	begin(w, "cputune");
	for (unsigned int i = 0; i < p->cpus; i++) {
		g_snprintf(number, sizeof(number), "%u", i);
		begin(w, "vcpupin");
		attr(w, "vcpu", number);
		attr(w, "cpuset", p->pin);
		end(w);
	}
	end(w);
}

/* Nodes share CPUs and memory evenly; the last one takes the rest. */
static void write_nodes(xmlTextWriterPtr w, const struct v3m_profile *p)
{
	unsigned int cpus = p->cpus / p->nodes;
	unsigned long long kib = p->memory / 1024, each = kib / p->nodes;
	char text[32];

	if (p->nodes < 2)
		return;
	begin(w, "cpu");
	begin(w, "numa");
	for (unsigned int i = 0; i < p->nodes; i++) {
		bool last = i == p->nodes - 1;

		begin(w, "cell");
		g_snprintf(text, sizeof(text), "%u", i);
		attr(w, "id", text);
		g_snprintf(text, sizeof(text), "%u-%u", i * cpus,
			   last ? p->cpus - 1 : (i + 1) * cpus - 1);
		attr(w, "cpus", text);
		g_snprintf(text, sizeof(text), "%llu", last ? kib - i * each : each);
		attr(w, "memory", text);
		attr(w, "unit", "KiB");
		end(w);
	}
	end(w);
	end(w);
}

char *lv_domain(const struct v3m_profile *p, struct say *say)
{
	xmlBufferPtr buffer;
	xmlTextWriterPtr w;
	char number[32], *result;

	if (p->dedicated && !p->ops->dedicated) {
		say_at(say, p->type_place, "%s has no dedicated CPUs: boot has", p->ops->name);
		return NULL;
	}
	buffer = xmlBufferCreate();
	w = xmlNewTextWriterMemory(buffer, 0);
	xmlTextWriterSetIndent(w, 1);
	begin(w, "domain");
	attr(w, "type", p->ops->domain_type);
	leaf(w, "name", p->name);
	begin(w, "memory");
	attr(w, "unit", "KiB");
	g_snprintf(number, sizeof(number), "%llu", p->memory / 1024);
	xmlTextWriterWriteString(w, X(number));
	end(w);
	g_snprintf(number, sizeof(number), "%u", p->cpus);
	leaf(w, "vcpu", number);
	write_cputune(w, p);
	write_os(w, p);
	write_nodes(w, p);
	if (!p->ops->paravirtual && p->ops != &v3m_mock) {
		begin(w, "features");
		begin(w, "acpi");
		end(w);
		end(w);
	}
	write_devices(w, p);
	end(w);
	xmlTextWriterEndDocument(w);
	xmlFreeTextWriter(w);
	result = g_strdup((const char *)xmlBufferContent(buffer));
	xmlBufferFree(buffer);
	return result;
}
