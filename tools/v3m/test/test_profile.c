/* SPDX-License-Identifier: BSD-2-Clause */
/* What the profile checker says, word by word and place by place, and the XML that back-ends make. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "v3m.h"

#define REST "<type>Xen</type><image size='50'>/srv/a.img</image></profile>"

static char said[8192];

static void say(void *opaque, const char *file, int line, int column, const char *text)
{
	size_t used = strlen(said);

	(void)opaque;
	snprintf(said + used, sizeof(said) - used, "%s:%d:%d: %s\n", file, line, column, text);
}

static enum v3m_code load(const char *text, struct v3m_set **set)
{
	said[0] = '\0';
	return v3m_load(text, strlen(text), "p", set, say, NULL);
}

static void refused(const char *text, const char *message)
{
	struct v3m_set *set;

	assert_int_equal(load(text, &set), V3M_INVALID);
	assert_null(set);
	assert_string_equal(said, message);
}

/* The profile that the project's first implementation documented in 2007. */
static void test_2007(void **state)
{
	static const char text[] =
		"<profile><name>test</name><type>Xen</type><image size=\"50\">/srv/vm/test_xen.img</image>"
		"<nic1><type>TUN/TAP</type><mac>00:02:03:04:05:06</mac></nic1></profile>";
	struct v3m_set *set;
	char *xml;

	(void)state;
	assert_int_equal(load(text, &set), V3M_OK);
	assert_string_equal(said, "");
	assert_int_equal(v3m_set_count(set), 1);
	assert_string_equal(v3m_profile_name(v3m_set_profile(set, 0)), "test");
	assert_string_equal(v3m_profile_type(v3m_set_profile(set, 0)), "xen");
	assert_null(v3m_set_profile(set, 1));
	xml = v3m_domain(v3m_set_profile(set, 0), say, NULL);
	assert_non_null(strstr(xml, "machine=\"xenpvh\""));
	assert_non_null(strstr(xml, "/srv/vm/test_xen.img"));
	assert_non_null(strstr(xml, "00:02:03:04:05:06"));
	free(xml);
	assert_int_equal(v3m_set_type(set, "margay"), V3M_OK);
	assert_int_equal(v3m_set_type(set, "hyper"), V3M_USAGE);
	v3m_set_free(set);
}

static void test_places(void **state)
{
	(void)state;
	refused("<profile>\n <name>a</name>\n  <memroy>5</memroy>" REST,
		"p:3:3: unknown element <memroy>, did you mean <memory>?\n");
	refused("<profile><name>a</name>\n<image sise='50'>/srv/a.img</image><type>Xen</type></profile>",
		"p:2:1: unknown attribute sise, did you mean size?\n");
	refused("<profile><name>\xc3\xa4</name>" REST,
		"p:1:10: the name '\xc3\xa4' is not of at most 63 letters, digits and . _ -\n");
	refused("<profile><name>a</name><memory>0</memory>" REST,
		"p:1:24: memory '0' is not a whole number from 4 to 16777216\n");
	refused("<profile><name>a</name><cpus>x</cpus>" REST,
		"p:1:24: cpus 'x' is not a whole number from 1 to 1024\n");
	refused("<profile><name>a</name><type>Zen</type><image size='5'>/a</image></profile>",
		"p:1:24: unknown type 'Zen', did you mean xen?\n");
	refused("<profile><name>a</name><name>b</name>" REST, "p:1:24: a second <name>\n");
	refused("<profile><name>a</name><image size='5'>a</image>" REST,
		"p:1:24: the path 'a' does not begin with /\n");
	refused("<profile><type>Xen</type></profile>",
		"p:1:1: the profile has no <name>\np:1:1: the profile has nothing to boot: no <image>, <cdrom> or "
		"<kernel>\n");
	refused("<profile><name>a</name><cpus dedicated='yes'>2</cpus>" REST,
		"p:1:1: xen has no dedicated CPUs: boot has\n");
	refused("<name>a</name>",
		"p:1:1: the outermost element is <name>, not <profile> or <profileset>\n");
}

static void test_nics(void **state)
{
	(void)state;
	refused("<profile><name>a</name><nic1><type>bridge</type></nic1>" REST,
		"p:1:24: type bridge needs a <bridge>\n");
	refused("<profile><name>a</name><nic1><mac>01:02:03:04:05:06</mac></nic1>" REST,
		"p:1:24: 01:02:03:04:05:06 is a multicast address\n");
	refused("<profile><name>a</name><nic2><mac>02:02</mac></nic2>" REST,
		"p:1:24: '02:02' is not a MAC such as 00:16:3e:00:00:01\n");
	refused("<profile><name>a</name><nic9/>" REST,
		"p:1:24: unknown element <nic9>, did you mean <nic1>?\n");
	refused("<profile><name>a</name><nic1><type>TUN</type></nic1>" REST,
		"p:1:30: unknown type of NIC 'TUN'; types are TUN/TAP, bridge, NAT, PCI, network\n");
	refused("<profile><name>a</name><nic1><type>brigde</type></nic1>" REST,
		"p:1:30: unknown type of NIC 'brigde', did you mean bridge?\n");
	refused("<profile><name>a</name><nic1><mac>02:00:00:00:00:01</mac></nic1>"
		"<nic2><mac>02:00:00:00:00:01</mac></nic2>" REST,
		"p:1:65: the MAC '02:00:00:00:00:01' is used twice; first in line 1\n");
	refused("<profile><name>a</name><nic1><type>PCI</type><device>1</device></nic1>" REST,
		"p:1:24: type PCI needs a <device> such as 0000:03:00.0\n");
}

/* Nothing expands, nothing is read, and the message says where. */
static void test_entities(void **state)
{
	static const char *const bombs[] = {
		"<!DOCTYPE profile [<!ENTITY a 'aaaa'><!ENTITY b '&a;&a;&a;'>]><profile><name>&b;</name>" REST,
		"<!DOCTYPE profile [<!ENTITY x SYSTEM 'file:///etc/passwd'>]><profile><name>&x;</name>" REST,
		"<!DOCTYPE profile [<!ENTITY % x SYSTEM 'http://127.0.0.1/x'>%x;]><profile><name>a</name>" REST,
		"<!DOCTYPE profile [<!ATTLIST profile count CDATA '9999'>]><profile><name>a</name>" REST,
		"<!DOCTYPE profile SYSTEM 'v3m_profile.dtd'><profile><name>&x;</name>" REST,
	};
	struct v3m_set *set;

	(void)state;
	for (unsigned int i = 0; i < sizeof(bombs) / sizeof(bombs[0]); i++) {
		assert_int_equal(load(bombs[i], &set), V3M_INVALID);
		assert_non_null(strstr(said, "not allowed in a profile"));
	}
	/* A DTD that the document names is not read, wherever it is. */
	assert_int_equal(
		load("<!DOCTYPE profile SYSTEM 'http://127.0.0.1:1/x.dtd'><profile><name>a</name>" REST,
		     &set),
		V3M_OK);
	assert_string_equal(said, "");
	v3m_set_free(set);
	assert_int_equal(
		load("<profile><name>a</name><cmdline>a &lt; &quot;b&#39;</cmdline><kernel>/k</kernel>" REST,
		     &set),
		V3M_OK);
	v3m_set_free(set);
}

static void test_set(void **state)
{
	static const char text[] =
		"<profileset><name>s</name><network name='n'/>"
		"<profile count='3'><name>w</name><type>mock</type><image size='5'>/srv/w.img</image>"
		"<nic1><type>network</type><network>n</network><mac>02:00:00:00:00:fe</mac></nic1></profile>"
		"<profile role='head'><name>h</name><type>mock</type><kernel>/k</kernel></profile></profileset>";
	struct v3m_set *set;
	char *xml;

	(void)state;
	assert_int_equal(load(text, &set), V3M_OK);
	assert_int_equal(v3m_set_count(set), 4);
	assert_string_equal(v3m_profile_name(v3m_set_profile(set, 2)), "w-3");
	xml = v3m_domain(v3m_set_profile(set, 2), say, NULL);
	assert_non_null(strstr(xml, "/srv/w-3.img"));
	assert_non_null(strstr(xml, "02:00:00:00:01:00"));
	free(xml);
	v3m_set_free(set);
	refused("<profileset><name>s</name><profile><name>a</name><type>mock</type><kernel>/k</kernel></profile>\n"
		"<profile><name>a</name><type>mock</type><kernel>/k</kernel></profile></profileset>",
		"p:2:10: the name 'a' is used twice; first in line 1\n");
	refused("<profileset><name>s</name><profile><name>a</name><type>mock</type><kernel>/k</kernel>"
		"<nic1><type>network</type><network>n</network></nic1></profile></profileset>",
		"p:1:86: the set has no network 'n'\n");
}

/* Text of a profile stays text in what a back-end gets. */
static void test_quoting(void **state)
{
	static const char text[] = "<profile><name>a</name><type>%s</type><kernel>/k</kernel>"
				   "<cmdline>x&lt;/cmdline>&lt;a'</cmdline></profile>";
	char profile[256];
	struct v3m_set *set;
	char *xml;

	(void)state;
	snprintf(profile, sizeof(profile), text, "qemu");
	assert_int_equal(load(profile, &set), V3M_OK);
	xml = v3m_domain(v3m_set_profile(set, 0), say, NULL);
	assert_non_null(strstr(xml, "<cmdline>x&lt;/cmdline&gt;&lt;a'</cmdline>"));
	free(xml);
	v3m_set_free(set);
	snprintf(profile, sizeof(profile), text, "boot");
	assert_int_equal(load(profile, &set), V3M_OK);
	assert_null(v3m_domain(v3m_set_profile(set, 0), say, NULL));
	v3m_set_free(set);
}

static void test_boot(void **state)
{
	static const char text[] =
		"<profile><name>a</name><type>boot</type><kernel>/k</kernel><initrd>/i</initrd>"
		"<cpus dedicated='yes' pin='2-3'>2</cpus><cmdline>console=hvc0</cmdline></profile>";
	struct v3m_set *set;
	char *lines;

	(void)state;
	assert_int_equal(load(text, &set), V3M_OK);
	lines = v3m_domain(v3m_set_profile(set, 0), say, NULL);
	assert_string_equal(
		lines,
		"module2 '/k' guest name=a vcpus=2 mem=256M dedicated=2-3 -- 'console=hvc0'\n"
		"module2 '/i' initrd for=a\n");
	free(lines);
	v3m_set_free(set);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_2007), cmocka_unit_test(test_places),
		cmocka_unit_test(test_nics), cmocka_unit_test(test_entities),
		cmocka_unit_test(test_set),  cmocka_unit_test(test_quoting),
		cmocka_unit_test(test_boot),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
