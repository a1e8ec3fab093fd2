/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * From text to profiles. libxml2 parses; a start-tag hook keeps each element's line and column. The DTD that a
 * document names is never read: the library's own (v3m_profile.dtd) judges the elements. Entities and declarations
 * are refused when the parser meets them, so nothing expands and nothing is fetched.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <libxml/parser.h>
#include <libxml/parserInternals.h>
#include <libxml/SAX2.h>
#include <libxml/valid.h>

#include "internal.h"

#define MAX_TEXT (64u << 20)
#define MAX_MACHINES 10000u

struct reader {
	struct say say;
	const char *text;
	struct place at; /* of offset in text; only moves forward */
	unsigned long offset, length;
	GArray *places; /* struct place; an element's _private is its index plus 1 */
	struct v3m_set *set;
	xmlDtdPtr dtd;
};

static xmlDtdPtr dtd;

static void read_dtd(void)
{
	xmlInitParser();
	dtd = xmlIOParseDTD(NULL,
			    xmlParserInputBufferCreateMem(v3m_dtd_text, (int)v3m_dtd_length,
							  XML_CHAR_ENCODING_UTF8),
			    XML_CHAR_ENCODING_UTF8);
	g_assert(dtd);
}

static struct place place_of(struct reader *r, const xmlNode *node)
{
	unsigned long i = node ? GPOINTER_TO_SIZE(node->_private) : 0;

	return i ? g_array_index(r->places, struct place, i - 1) : (struct place){ 1, 1 };
}

/* Finds where the tag begins that the parser has just read: a raw < cannot be inside of it. */
static void start_element(void *context, const xmlChar *name, const xmlChar *prefix,
			  const xmlChar *uri, int namespaces, const xmlChar **spaces,
			  int attributes, int defaulted, const xmlChar **values)
{
	xmlParserCtxtPtr ctxt = context;
	struct reader *r = ctxt->_private;
	unsigned long end =
		ctxt->input->consumed + (unsigned long)(ctxt->input->cur - ctxt->input->base);

	xmlSAX2StartElementNs(ctxt, name, prefix, uri, namespaces, spaces, attributes, defaulted,
			      values);
	end = MIN(end, r->length);
	while (end > r->offset && (end == r->length || r->text[end] != '<'))
		end--;
	for (; r->offset < end; r->offset++) {
		if (r->text[r->offset] == '\n') {
			r->at.line++;
			r->at.column = 1;
		} else if ((r->text[r->offset] & 0xc0) != 0x80) {
			r->at.column++;
		}
	}
	g_array_append_val(r->places, r->at);
	if (ctxt->node)
		ctxt->node->_private = GSIZE_TO_POINTER(r->places->len);
}

static void refuse(xmlParserCtxtPtr ctxt, const char *what)
{
	struct reader *r = ctxt->_private;

	if (!r->say.failed)
		say_at(&r->say, (struct place){ ctxt->input->line, ctxt->input->col },
		       "%s not allowed in a profile", what);
	xmlStopParser(ctxt);
}

static void entity_decl(void *c, const xmlChar *n, int t, const xmlChar *p, const xmlChar *s,
			xmlChar *v)
{
	refuse(c, "declarations of entities are");
	(void)n, (void)t, (void)p, (void)s, (void)v;
}

static void attribute_decl(void *c, const xmlChar *e, const xmlChar *n, int t, int d,
			   const xmlChar *v, xmlEnumerationPtr tree)
{
	xmlFreeEnumeration(tree);
	refuse(c, "declarations of attributes are");
	(void)e, (void)n, (void)t, (void)d, (void)v;
}

static void element_decl(void *c, const xmlChar *n, int t, xmlElementContentPtr content)
{
	refuse(c, "declarations of elements are");
	(void)n, (void)t, (void)content;
}

static void reference(void *c, const xmlChar *name)
{
	refuse(c, "references to entities are");
	(void)name;
}

static xmlEntityPtr get_entity(void *c, const xmlChar *name)
{
	xmlEntityPtr entity = xmlGetPredefinedEntity(name);

	if (!entity)
		refuse(c, "references to entities are");
	return entity;
}

static xmlEntityPtr get_parameter_entity(void *c, const xmlChar *name)
{
	refuse(c, "references to entities are");
	(void)name;
	return NULL;
}

static void parse_error(void *opaque, xmlErrorPtr error)
{
	struct reader *r = opaque;
	struct place place = { error->line, error->int2 };
	char *text;

	if (r->say.failed)
		return; /* what follows the first syntax error is noise */
	text = g_strchomp(g_strdup(error->message ? error->message : "syntax error"));
	say_at(&r->say, place, "%s", text);
	g_free(text);
}

static void validity_error(void *opaque, xmlErrorPtr error)
{
	struct reader *r = opaque;
	char *text = g_strchomp(g_strdup(error->message ? error->message : "not valid"));

	say_at(&r->say, place_of(r, error->node), "%s", text);
	g_free(text);
}

static const char *pick(const char *word, GPtrArray *words)
{
	return suggest(word, (const char *const *)words->pdata, words->len);
}

static void unknown(struct reader *r, xmlNodePtr at, const char *kind, const char *open,
		    const char *word, const char *close, GPtrArray *words)
{
	const char *near = pick(word, words);

	if (near)
		say_at(&r->say, place_of(r, at), "unknown %s %s%.40s%s, did you mean %s%s%s?", kind,
		       open, word, close, open, near, close);
	else
		say_at(&r->say, place_of(r, at), "unknown %s %s%.40s%s", kind, open, word, close);
}

/* Reports elements and attributes that the DTD does not know, with what may have been meant. */
static void check_names(struct reader *r, xmlNodePtr node)
{
	GPtrArray *words = g_ptr_array_new();
	xmlElementPtr element = xmlGetDtdElementDesc(r->dtd, node->name);

	if (!element) {
		for (xmlNodePtr n = r->dtd->children; n; n = n->next)
			if (n->type == XML_ELEMENT_DECL)
				g_ptr_array_add(words, (char *)n->name);
		unknown(r, node, "element", "<", (const char *)node->name, ">", words);
	} else {
		for (xmlAttributePtr a = element->attributes; a; a = a->nexth)
			g_ptr_array_add(words, (char *)a->name);
		for (xmlAttrPtr a = node->properties; a; a = a->next)
			if (!xmlGetDtdAttrDesc(r->dtd, node->name, a->name))
				unknown(r, node, "attribute", "", (const char *)a->name, "", words);
	}
	g_ptr_array_free(words, TRUE);
	for (xmlNodePtr n = node->children; n; n = n->next)
		if (n->type == XML_ELEMENT_NODE)
			check_names(r, n);
}

static char *text_of(struct reader *r, xmlNodePtr node)
{
	xmlChar *content = xmlNodeGetContent(node);
	char *text = g_strstrip(g_strdup(content ? (char *)content : ""));

	xmlFree(content);
	if (!*text)
		say_at(&r->say, place_of(r, node), "<%s> is empty", node->name);
	for (const char *c = text; *c; c++)
		if ((unsigned char)*c < ' ') {
			say_at(&r->say, place_of(r, node), "<%s> has a control character",
			       node->name);
			break;
		}
	return text;
}

/* Takes a text that may come once. */
static void set_text(struct reader *r, xmlNodePtr node, char **field)
{
	if (*field) {
		say_at(&r->say, place_of(r, node), "a second <%s>", node->name);
		return;
	}
	*field = text_of(r, node);
}

static char *attribute(xmlNodePtr node, const char *name)
{
	xmlChar *value = xmlGetNoNsProp(node, (const xmlChar *)name);
	char *copy = g_strdup((char *)value);

	xmlFree(value);
	return copy;
}

static unsigned long long number(struct reader *r, xmlNodePtr node, const char *what,
				 const char *text, unsigned long long min, unsigned long long max)
{
	guint64 value = 0;

	if (!g_ascii_string_to_unsigned(text, 10, min, max, &value, NULL)) {
		say_at(&r->say, place_of(r, node),
		       "%s '%.40s' is not a whole number from %llu to %llu", what, text, min, max);
		return min;
	}
	return value;
}

static unsigned long long number_attribute(struct reader *r, xmlNodePtr node, const char *name,
					   unsigned long long min, unsigned long long max,
					   unsigned long long otherwise)
{
	char *text = attribute(node, name);
	unsigned long long value = text ? number(r, node, name, text, min, max) : otherwise;

	g_free(text);
	return value;
}

static void read_memory(struct reader *r, xmlNodePtr node, struct v3m_profile *p)
{
	char *text = text_of(r, node), *unit = attribute(node, "unit");
	unsigned long long bytes = !unit || !strcmp(unit, "MiB") ? MIB :
				   !strcmp(unit, "GiB")          ? MIB << 10 :
								   1024;

	if (p->memory)
		say_at(&r->say, place_of(r, node), "a second <memory>");
	p->memory = bytes *
		    number(r, node, "memory", text, MAX(4 * MIB / bytes, 1), (16ull << 40) / bytes);
	g_free(text);
	g_free(unit);
}

static bool is_cpu_list(const char *text)
{
	return g_regex_match_simple("^[0-9]{1,4}(-[0-9]{1,4})?(,[0-9]{1,4}(-[0-9]{1,4})?)*$", text,
				    0, 0);
}

static void read_cpus(struct reader *r, xmlNodePtr node, struct v3m_profile *p)
{
	char *text = text_of(r, node), *dedicated = attribute(node, "dedicated");

	if (p->cpus)
		say_at(&r->say, place_of(r, node), "a second <cpus>");
	p->cpus = (unsigned int)number(r, node, "cpus", text, 1, 1024);
	p->dedicated = dedicated && !strcmp(dedicated, "yes");
	p->nodes = (unsigned int)number_attribute(r, node, "nodes", 1, 64, 1);
	g_free(p->pin);
	p->pin = attribute(node, "pin");
	if (p->pin && !is_cpu_list(p->pin))
		say_at(&r->say, place_of(r, node),
		       "pin '%.40s' is not a list of CPUs such as 2-3,6", p->pin);
	if (p->nodes > p->cpus)
		say_at(&r->say, place_of(r, node), "%u nodes, but only %u CPUs", p->nodes, p->cpus);
	g_free(text);
	g_free(dedicated);
}

static void read_image(struct reader *r, xmlNodePtr node, struct v3m_profile *p, bool cdrom)
{
	char *mode = attribute(node, "mode");
	struct image image = {
		.path = text_of(r, node),
		.format = attribute(node, "format"),
		.size = MIB * number_attribute(r, node, "size", 1, 64u << 20, 0),
		.read_only = cdrom || (mode && !strcmp(mode, "ro")),
		.cdrom = cdrom,
		.place = place_of(r, node),
	};

	if (!image.format)
		image.format = g_strdup("raw");
	if (*image.path && *image.path != '/')
		say_at(&r->say, image.place, "the path '%.80s' does not begin with /", image.path);
	if (strlen(image.path) > 4000)
		say_at(&r->say, image.place, "the path is longer than 4000 bytes");
	if (p->images->len == 16)
		say_at(&r->say, image.place, "more than 16 images");
	g_array_append_val(p->images, image);
	g_free(mode);
}

static const char *const nic_types[] = { "TUN/TAP", "bridge", "NAT", "PCI", "network" };

static void read_nic_type(struct reader *r, xmlNodePtr node, struct nic *nic)
{
	char *text = text_of(r, node);
	const char *near;

	for (unsigned int i = 0; i < G_N_ELEMENTS(nic_types); i++)
		if (!g_ascii_strcasecmp(text, nic_types[i]))
			nic->type = (enum nic_type)(i + 1);
	if (!nic->type) {
		near = suggest(text, nic_types, G_N_ELEMENTS(nic_types));
		say_at(&r->say, place_of(r, node), "unknown type of NIC '%.40s'%s%s%s", text,
		       near ? ", did you mean " : "; types are TUN/TAP, bridge, NAT, PCI, network",
		       near ? near : "", near ? "?" : "");
	}
	g_free(text);
}

/* A name goes into XML, file names and menus: letters, digits and a few others. */
static bool is_name(const char *text)
{
	return g_regex_match_simple("^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$", text, 0, 0);
}

static void read_nic(struct reader *r, xmlNodePtr node, struct nic *nic)
{
	if (nic->place.line)
		say_at(&r->say, place_of(r, node), "a second <%s>", node->name);
	nic->place = place_of(r, node);
	for (xmlNodePtr n = node->children; n; n = n->next) {
		const char *name = (const char *)n->name;

		if (n->type != XML_ELEMENT_NODE)
			continue;
		if (!strcmp(name, "type"))
			read_nic_type(r, n, nic);
		else
			set_text(r, n,
				 !strcmp(name, "mac")    ? &nic->mac :
				 !strcmp(name, "bridge") ? &nic->bridge :
				 !strcmp(name, "device") ? &nic->device :
							   &nic->network);
	}
	if (nic->mac &&
	    !g_regex_match_simple("^([0-9A-Fa-f]{2}:){5}[0-9A-Fa-f]{2}$", nic->mac, 0, 0))
		say_at(&r->say, nic->place, "'%.40s' is not a MAC such as 00:16:3e:00:00:01",
		       nic->mac);
	else if (nic->mac && (g_ascii_xdigit_value(nic->mac[1]) & 1))
		say_at(&r->say, nic->place, "%s is a multicast address", nic->mac);
	if (nic->bridge && (!is_name(nic->bridge) || strlen(nic->bridge) > 15))
		say_at(&r->say, nic->place, "'%.40s' is no name of a bridge", nic->bridge);
	if (nic->type == NIC_BRIDGE && !nic->bridge)
		say_at(&r->say, nic->place, "type bridge needs a <bridge>");
	if (nic->type == NIC_NETWORK && !nic->network)
		say_at(&r->say, nic->place, "type network needs a <network>");
	if (nic->network && !is_name(nic->network))
		say_at(&r->say, nic->place, "'%.40s' is no name of a network", nic->network);
	if (nic->type == NIC_PCI &&
	    (!nic->device ||
	     !g_regex_match_simple("^[0-9a-fA-F]{4}:[0-9a-fA-F]{2}:[01][0-9a-fA-F]\\.[0-7]$",
				   nic->device, 0, 0)))
		say_at(&r->say, nic->place, "type PCI needs a <device> such as 0000:03:00.0");
	if (!nic->type)
		nic->type = NIC_TAP;
}

static void read_type(struct reader *r, xmlNodePtr node, struct v3m_profile *p)
{
	const char *names[8];
	unsigned int count = 0;
	char *text = text_of(r, node);
	const char *near;

	if (p->type_place.line)
		say_at(&r->say, place_of(r, node), "a second <type>");
	p->type_place = place_of(r, node);
	p->ops = find_ops(text);
	if (!p->ops && *text) {
		while (v3m_all_ops[count]) {
			names[count] = v3m_all_ops[count]->name;
			count++;
		}
		near = suggest(text, names, count);
		say_at(&r->say, p->type_place, "unknown type '%.40s'%s%s%s", text,
		       near ? ", did you mean " : "", near ? near : "", near ? "?" : "");
	}
	g_free(text);
}

static void read_ft(struct reader *r, xmlNodePtr node, struct v3m_profile *p)
{
	if (p->ft.interval)
		say_at(&r->say, place_of(r, node), "a second <ft>");
	g_free(p->ft.mode);
	g_free(p->ft.standby);
	p->ft.mode = attribute(node, "mode");
	p->ft.standby = attribute(node, "standby");
	p->ft.interval = (unsigned int)number_attribute(r, node, "interval", 1, 86400000, 1000);
}

static void read_member(struct reader *r, xmlNodePtr n, struct v3m_profile *p)
{
	const char *name = (const char *)n->name;

	if (g_str_has_prefix(name, "nic")) {
		read_nic(r, n, &p->nic[name[3] - '1']);
	} else if (!strcmp(name, "name")) {
		p->name_place = place_of(r, n);
		set_text(r, n, &p->name);
		if (*p->name && !is_name(p->name))
			say_at(&r->say, p->name_place,
			       "the name '%.70s' is not of at most 63 letters, digits and . _ -",
			       p->name);
	} else if (!strcmp(name, "type")) {
		read_type(r, n, p);
	} else if (!strcmp(name, "memory")) {
		read_memory(r, n, p);
	} else if (!strcmp(name, "cpus")) {
		read_cpus(r, n, p);
	} else if (!strcmp(name, "image") || !strcmp(name, "cdrom")) {
		read_image(r, n, p, *name == 'c');
	} else if (!strcmp(name, "ft")) {
		read_ft(r, n, p);
	} else if (!strcmp(name, "kernel")) {
		p->kernel_place = place_of(r, n);
		set_text(r, n, &p->kernel);
	} else if (!strcmp(name, "initrd")) {
		p->initrd_place = place_of(r, n);
		set_text(r, n, &p->initrd);
	} else {
		set_text(r, n,
			 !strcmp(name, "arch")    ? &p->arch :
			 !strcmp(name, "cmdline") ? &p->cmdline :
						    &p->serial);
	}
}

/* Checks what concerns several elements of a profile, and fills in what it leaves out. */
static void finish_profile(struct reader *r, struct v3m_profile *p)
{
	if (!p->name)
		say_at(&r->say, p->place, "the profile has no <name>");
	if (!p->type_place.line)
		say_at(&r->say, p->place, "the profile has no <type>");
	if (!p->images->len && !p->kernel)
		say_at(&r->say, p->place,
		       "the profile has nothing to boot: no <image>, <cdrom> or <kernel>");
	if ((p->initrd || p->cmdline) && !p->kernel)
		say_at(&r->say, p->place, "<initrd> and <cmdline> need a <kernel>");
	if (p->kernel && *p->kernel != '/')
		say_at(&r->say, p->kernel_place, "the path '%.80s' does not begin with /",
		       p->kernel);
	if (p->initrd && *p->initrd != '/')
		say_at(&r->say, p->initrd_place, "the path '%.80s' does not begin with /",
		       p->initrd);
	if (p->arch && strcmp(p->arch, "x86_64"))
		say_at(&r->say, p->place, "unknown arch '%.40s': there is x86_64", p->arch);
	if (p->serial && strcmp(p->serial, "pty") && strcmp(p->serial, "none"))
		say_at(&r->say, p->place, "<serial> is '%.40s', not pty or none", p->serial);
	if (p->dedicated && p->ops && !p->ops->dedicated)
		say_at(&r->say, p->place, "%s has no dedicated CPUs: boot has", p->ops->name);
	if (!p->memory)
		p->memory = 256 * MIB;
	if (!p->cpus)
		p->cpus = p->nodes = 1;
	if (!p->arch)
		p->arch = g_strdup("x86_64");
}

static struct v3m_profile *new_profile(struct reader *r, xmlNodePtr node)
{
	struct v3m_profile *p = g_new0(struct v3m_profile, 1);

	p->file = r->set->file;
	p->images = g_array_new(FALSE, TRUE, sizeof(struct image));
	p->place = place_of(r, node);
	p->count = (unsigned int)number_attribute(r, node, "count", 1, MAX_MACHINES, 1);
	p->role = attribute(node, "role");
	for (xmlNodePtr n = node->children; n; n = n->next)
		if (n->type == XML_ELEMENT_NODE)
			read_member(r, n, p);
	finish_profile(r, p);
	return p;
}

void profile_free(void *profile)
{
	struct v3m_profile *p = profile;

	for (unsigned int i = 0; i < p->images->len; i++) {
		g_free(g_array_index(p->images, struct image, i).path);
		g_free(g_array_index(p->images, struct image, i).format);
	}
	g_array_free(p->images, TRUE);
	for (unsigned int i = 0; i < V3M_NICS; i++) {
		g_free(p->nic[i].mac);
		g_free(p->nic[i].bridge);
		g_free(p->nic[i].network);
		g_free(p->nic[i].device);
	}
	g_free(p->name);
	g_free(p->arch);
	g_free(p->kernel);
	g_free(p->initrd);
	g_free(p->cmdline);
	g_free(p->serial);
	g_free(p->role);
	g_free(p->pin);
	g_free(p->ft.mode);
	g_free(p->ft.standby);
	g_free(p);
}

/* Returns PATH-n.EXT for PATH.EXT. */
static char *numbered_path(const char *path, unsigned int n)
{
	const char *slash = strrchr(path, '/'), *dot = slash ? strrchr(slash, '.') : NULL;

	return dot ? g_strdup_printf("%.*s-%u%s", (int)(dot - path), path, n, dot) :
		     g_strdup_printf("%s-%u", path, n);
}

/* Returns the n-th of a count's machines, whose writable images and MACs are its own. */
static struct v3m_profile *numbered(const struct v3m_profile *p, unsigned int n)
{
	struct v3m_profile *q = g_memdup2(p, sizeof(*p));

	q->name = g_strdup_printf("%s-%u", p->name, n);
	q->images = g_array_new(FALSE, TRUE, sizeof(struct image));
	for (unsigned int i = 0; i < p->images->len; i++) {
		struct image image = g_array_index(p->images, struct image, i);

		image.path = image.read_only ? g_strdup(image.path) : numbered_path(image.path, n);
		image.format = g_strdup(image.format);
		g_array_append_val(q->images, image);
	}
	for (unsigned int i = 0; i < V3M_NICS; i++) {
		const struct nic *nic = &p->nic[i];

		q->nic[i].bridge = g_strdup(nic->bridge);
		q->nic[i].network = g_strdup(nic->network);
		q->nic[i].device = g_strdup(nic->device);
		if (nic->mac) { /* counts up in the last three bytes */
			unsigned long tail = strtoul(nic->mac + 9, NULL, 16) << 16 |
					     strtoul(nic->mac + 12, NULL, 16) << 8 |
					     strtoul(nic->mac + 15, NULL, 16);

			tail += n - 1;
			q->nic[i].mac = g_strdup_printf("%.9s%02lx:%02lx:%02lx", nic->mac,
							tail >> 16 & 0xff, tail >> 8 & 0xff,
							tail & 0xff);
		}
	}
	q->arch = g_strdup(p->arch);
	q->kernel = g_strdup(p->kernel);
	q->initrd = g_strdup(p->initrd);
	q->cmdline = g_strdup(p->cmdline);
	q->serial = g_strdup(p->serial);
	q->role = g_strdup(p->role);
	q->pin = g_strdup(p->pin);
	q->ft.mode = g_strdup(p->ft.mode);
	q->ft.standby = g_strdup(p->ft.standby);
	return q;
}

static void add_profile(struct reader *r, xmlNodePtr node)
{
	struct v3m_profile *p = new_profile(r, node);

	if (r->set->profiles->len + p->count > MAX_MACHINES) {
		say_at(&r->say, p->place, "more than %u machines", MAX_MACHINES);
		profile_free(p);
		return;
	}
	if (p->count == 1 || r->say.failed) {
		g_ptr_array_add(r->set->profiles, p);
		return;
	}
	for (unsigned int n = 1; n <= p->count; n++)
		g_ptr_array_add(r->set->profiles, numbered(p, n));
	profile_free(p);
}

static void add_network(struct reader *r, xmlNodePtr node)
{
	char *name = attribute(node, "name"), *bridge = attribute(node, "bridge");

	if (!name || !is_name(name))
		say_at(&r->say, place_of(r, node),
		       "a <network> of a set needs a name= of letters, digits and . _ -");
	else if (g_hash_table_contains(r->set->networks, name))
		say_at(&r->say, place_of(r, node), "a second network '%s'", name);
	if (name)
		g_hash_table_insert(r->set->networks, g_strdup(name),
				    g_strdup(bridge ? bridge : ""));
	g_free(name);
	g_free(bridge);
}

static void read_document(struct reader *r, xmlDocPtr doc)
{
	xmlNodePtr root = xmlDocGetRootElement(doc);

	if (strcmp((const char *)root->name, "profileset")) {
		add_profile(r, root);
		return;
	}
	for (xmlNodePtr n = root->children; n; n = n->next) {
		if (n->type != XML_ELEMENT_NODE)
			continue;
		if (!strcmp((const char *)n->name, "name"))
			set_text(r, n, &r->set->name);
		else if (!strcmp((const char *)n->name, "network"))
			add_network(r, n);
		else
			add_profile(r, n);
	}
	if (!r->set->profiles->len)
		say_at(&r->say, place_of(r, root), "the set has no <profile>");
}

static void validate(struct reader *r, xmlDocPtr doc)
{
	xmlNodePtr root = xmlDocGetRootElement(doc);
	xmlValidCtxtPtr valid;

	check_names(r, root);
	if (r->say.failed)
		return;
	if (strcmp((const char *)root->name, "profile") &&
	    strcmp((const char *)root->name, "profileset")) {
		say_at(&r->say, place_of(r, root),
		       "the outermost element is <%s>, not <profile> or <profileset>", root->name);
		return;
	}
	valid = xmlNewValidCtxt();
	xmlSetStructuredErrorFunc(r, validity_error);
	if (!xmlValidateDtd(valid, doc, r->dtd) && !r->say.failed)
		say_at(&r->say, place_of(r, root), "does not follow v3m_profile.dtd");
	xmlSetStructuredErrorFunc(NULL, NULL);
	xmlFreeValidCtxt(valid);
}

static xmlDocPtr parse(struct reader *r)
{
	xmlParserCtxtPtr ctxt = xmlNewParserCtxt();
	xmlDocPtr doc;

	ctxt->_private = r;
	ctxt->sax->startElementNs = start_element;
	ctxt->sax->entityDecl = entity_decl;
	ctxt->sax->attributeDecl = attribute_decl;
	ctxt->sax->elementDecl = element_decl;
	ctxt->sax->externalSubset = NULL;
	ctxt->sax->reference = reference;
	ctxt->sax->getEntity = get_entity;
	ctxt->sax->getParameterEntity = get_parameter_entity;
	xmlSetStructuredErrorFunc(r, parse_error);
	doc = xmlCtxtReadMemory(ctxt, r->text, (int)r->length, NULL, "UTF-8",
				XML_PARSE_NONET | XML_PARSE_NOCDATA | XML_PARSE_NOBLANKS);
	xmlSetStructuredErrorFunc(NULL, NULL);
	if (!doc && !r->say.failed)
		say_at(&r->say, (struct place){ 1, 1 }, "not XML");
	xmlFreeParserCtxt(ctxt);
	return doc;
}

enum v3m_code v3m_load(const char *text, unsigned long length, const char *name,
		       struct v3m_set **set, v3m_message_fn *fn, void *opaque)
{
	static GOnce once = G_ONCE_INIT;
	struct reader r = {
		.say = { fn, opaque, name, false }, .text = text, .length = length, .at = { 1, 1 }
	};
	xmlDocPtr doc;

	if (!text || !name || !set)
		return V3M_USAGE;
	*set = NULL;
	g_once(&once, (GThreadFunc)(void (*)(void))read_dtd, NULL);
	if (length > MAX_TEXT)
		return say_at(&r.say, r.at, "longer than %u MiB", MAX_TEXT >> 20);
	r.dtd = dtd;
	r.places = g_array_new(FALSE, FALSE, sizeof(struct place));
	r.set = g_new0(struct v3m_set, 1);
	r.set->file = g_strdup(name);
	r.set->profiles = g_ptr_array_new_with_free_func(profile_free);
	r.set->networks = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
	doc = parse(&r);
	if (doc && !r.say.failed)
		validate(&r, doc);
	if (doc && !r.say.failed)
		read_document(&r, doc);
	if (!r.say.failed)
		check_shared(r.set, &r.say);
	xmlFreeDoc(doc);
	g_array_free(r.places, TRUE);
	if (r.say.failed) {
		v3m_set_free(r.set);
		return V3M_INVALID;
	}
	*set = r.set;
	return V3M_OK;
}

enum v3m_code v3m_load_file(const char *path, struct v3m_set **set, v3m_message_fn *fn,
			    void *opaque)
{
	struct say say = { fn, opaque, path, false };
	GError *error = NULL;
	char *text;
	gsize length;
	enum v3m_code code;

	if (!path || !set)
		return V3M_USAGE;
	*set = NULL;
	if (!g_file_get_contents(path, &text, &length, &error)) {
		code = g_error_matches(error, G_FILE_ERROR, G_FILE_ERROR_ACCES) ? V3M_DENIED :
										  V3M_NOT_FOUND;
		say_why(&say, code, "%s", error->message);
		g_error_free(error);
		return code;
	}
	code = v3m_load(text, length, path, set, fn, opaque);
	g_free(text);
	return code;
}

void v3m_set_free(struct v3m_set *set)
{
	if (!set)
		return;
	g_ptr_array_free(set->profiles, TRUE);
	g_hash_table_destroy(set->networks);
	g_free(set->file);
	g_free(set->name);
	g_free(set);
}

unsigned int v3m_set_count(const struct v3m_set *set)
{
	return set->profiles->len;
}

const struct v3m_profile *v3m_set_profile(const struct v3m_set *set, unsigned int index)
{
	return index < set->profiles->len ? set->profiles->pdata[index] : NULL;
}

const char *v3m_profile_name(const struct v3m_profile *profile)
{
	return profile->name;
}

const char *v3m_profile_type(const struct v3m_profile *profile)
{
	return profile->ops->name;
}

enum v3m_code v3m_set_type(struct v3m_set *set, const char *type)
{
	const struct v3m_ops *ops = find_ops(type);

	if (!ops)
		return V3M_USAGE;
	for (unsigned int i = 0; i < set->profiles->len; i++)
		((struct v3m_profile *)set->profiles->pdata[i])->ops = ops;
	return V3M_OK;
}
