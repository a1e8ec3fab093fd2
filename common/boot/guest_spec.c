/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Parses the strings of boot modules: `guest name=... -- command line`, `initrd for=...`. Reports
 * errors here, where the module and the word are known.
 */
#include <margay/cmdline.h>
#include <margay/policy_registry.h>

#define MEM_DEFAULT (128UL << 20)
#define MEM_MIN (2UL << 20)
#define MEM_MAX (16UL << 40)

static int bad_word(const struct guest_spec *g, const struct word *w, const char *why)
{
	pr_err("%s: %.*s:\n  %s\n", g->label, (int)min(w->len, 80UL), w->s, why);
	return -EINVAL;
}

static int set_name(struct guest_spec *g, const struct word *w)
{
	if (!w->val_len || w->val_len > GUEST_NAME_LEN)
		return bad_word(g, w, "a name has 1 to 31 characters");
	for (size_t i = 0; i < w->val_len; i++) {
		char c = w->val[i];

		if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
		      c == '_' || c == '.' || c == '-'))
			return bad_word(g, w, "a name has only letters, digits, _ . and -");
	}
	memset(g->name, 0, sizeof(g->name));
	memcpy(g->name, w->val, w->val_len);
	return 0;
}

/*
 * Parses the next CPU or range of a list such as 0,2-3 at *p, which ends at `end`, and advances *p.
 * -EINVAL if it is malformed.
 */
static int next_range(const char **p, const char *end, u64 *from, u64 *to)
{
	const char *comma = memchr(*p, ',', end - *p), *stop = comma ? comma : end;
	const char *dash = memchr(*p, '-', stop - *p);

	if (parse_uint(*p, (dash ? dash : stop) - *p, from) ||
	    parse_uint(dash ? dash + 1 : *p, stop - (dash ? dash + 1 : *p), to))
		return -EINVAL;
	*p = comma ? comma + 1 : NULL;
	return 0;
}

static int set_pin(struct guest_spec *g, const struct word *w)
{
	const char *p = w->val;
	u64 from, to;

	memset(&g->pin, 0, sizeof(g->pin));
	g->nr_pin = 0;
	g->pin_list = p;
	g->pin_list_len = w->val_len;
	while (p) {
		if (next_range(&p, w->val + w->val_len, &from, &to))
			return bad_word(g, w, "not a list of CPUs such as 0,2-3");
		if (to < from || to >= MAX_CPUS)
			return bad_word(g, w, "CPU numbers are 0 to 1023, and ranges ascend");
		for (; from <= to; from++, g->nr_pin++) {
			if (cpu_set_has(&g->pin, (unsigned)from))
				return bad_word(g, w, "a CPU is listed twice");
			cpu_set_add(&g->pin, (unsigned)from);
		}
	}
	return 0;
}

/* Parses hexadecimal digits up to `stop`, which *p passes. Returns ~0U if there are none or too many. */
static u32 hex_field(const char **p, const char *end, char stop, unsigned digits)
{
	u32 n = 0;
	const char *from = *p;

	while (*p < end && **p != stop && hex_digit(**p) < 16)
		n = n << 4 | (u32)hex_digit(*(*p)++);
	if (*p == from || *p > from + digits || (stop && (*p == end || **p != stop)))
		return ~0U;
	*p += stop != 0;
	return n;
}

int next_pci_function(const char **p, const char *end, u32 *sbdf)
{
	const char *comma = memchr(*p, ',', end - *p), *stop = comma ? comma : end, *at = *p;
	u32 segment = hex_field(&at, stop, ':', 4), bus = hex_field(&at, stop, ':', 2);
	u32 device = hex_field(&at, stop, '.', 2), function = hex_field(&at, stop, 0, 1);

	if (segment > 0xffff || bus > 0xff || device > 31 || function > 7 || at != stop)
		return -EINVAL;
	*sbdf = segment << 16 | bus << 8 | device << 3 | function;
	*p = comma ? comma + 1 : NULL;
	return 0;
}

static int set_pci(struct guest_spec *g, const struct word *w)
{
	const char *p = w->val;
	u32 sbdf;

	g->pci = true;
	g->pci_list = p;
	g->pci_list_len = w->val_len;
	while (p)
		if (next_pci_function(&p, w->val + w->val_len, &sbdf))
			return bad_word(g, w, "not a list of PCI functions such as 0000:03:00.0");
	return 0;
}

static int set_action(const struct guest_spec *g, const struct word *w, enum guest_action *action)
{
	if (val_is(w, "restart"))
		*action = GUEST_RESTART;
	else if (val_is(w, "destroy"))
		*action = GUEST_DESTROY;
	else if (val_is(w, "machine"))
		*action = GUEST_MACHINE;
	else
		return bad_word(g, w, "must be restart, destroy or machine");
	return 0;
}

static int guest_word(struct guest_spec *g, const struct word *w)
{
	u64 n;

	if (!w->val && key_is(w, "initial")) {
		g->initial = true;
	} else if (!w->val && key_is(w, "control")) {
		g->control = true;
	} else if (!w->val && key_is(w, "dedicated")) {
		g->dedicated = true;
	} else if (!w->val && key_is(w, "trusted")) {
		g->trusted = true;
	} else if (!w->val && key_is(w, "pmu")) {
		g->pmu = true;
	} else if (key_is(w, "pci")) {
		return set_pci(g, w);
	} else if (!w->val) {
		return bad_word(g, w, "unknown word");
	} else if (key_is(w, "name")) {
		return set_name(g, w);
	} else if (key_is(w, "pin") || key_is(w, "dedicated")) {
		g->dedicated |= key_is(w, "dedicated");
		return set_pin(g, w);
	} else if (key_is(w, "on_reboot")) {
		return set_action(g, w, &g->on_reboot);
	} else if (key_is(w, "on_crash")) {
		return set_action(g, w, &g->on_crash);
	} else if (key_is(w, "vcpus")) {
		if (parse_uint(w->val, w->val_len, &n) || !n || n > MAX_VCPUS)
			return bad_word(g, w, "must be 1 to 1024");
		g->vcpus = n;
	} else if (key_is(w, "mem")) {
		if (parse_size(w->val, w->val_len, &n) || n < MEM_MIN || n > MEM_MAX ||
		    !IS_ALIGNED(n, PAGE_SIZE))
			return bad_word(g, w, "must be 2M to 16T, whole pages, e.g. 512M");
		g->mem = n;
	} else {
		return bad_word(g, w, "unknown word");
	}
	return 0;
}

static int initrd_word(struct guest_spec *g, const struct word *w)
{
	return w->val && key_is(w, "for") ? set_name(g, w) :
					    bad_word(g, w, "unknown word of an initrd");
}

/*
 * select=sched,idle: the policy points, among those that the policy decides, to select it for at
 * boot. select=none.
 */
static int set_points(struct guest_spec *g, const struct word *w)
{
	const char *p = w->val, *end = w->val + w->val_len, *comma;

	g->points = 0;
	if (val_is(w, "none"))
		return 0;
	do {
		comma = memchr(p, ',', end - p);

		const char *stop = comma ? comma : end;
		struct word item = { .s = p, .len = stop - p };
		unsigned i = 0;

		while (i < NR_POINTS && !key_is(&item, policy_point_names[i]))
			i++;
		if (i == NR_POINTS)
			return bad_word(g, w, "must be none, or a list of sched,idle,exit,place");
		g->points |= BIT(i);
		p = stop + 1;
	} while (comma);
	return 0;
}

static int policy_word(struct guest_spec *g, const struct word *w)
{
	if (w->val && key_is(w, "select"))
		return set_points(g, w);
	if (w->val && key_is(w, "cpus"))
		return set_pin(g, w);
	return bad_word(g, w, "unknown word of a policy");
}

/* Makes the label of the module's number, its kind, its guest's name and its file. */
static void set_label(struct guest_spec *g, const char *kind, const char *words)
{
	struct word w, name = { 0 }, file = { 0 };

	while (next_word(&words, &w) && (w.val || !key_is(&w, "--"))) {
		if (w.val && (key_is(&w, "name") || key_is(&w, "for")))
			name = w;
		else if (w.val && key_is(&w, "file"))
			file = w;
	}
	snprintf(g->label, sizeof(g->label), "module %u (%s%s%.*s%s%.*s)", g->number, kind,
		 name.val_len ? " " : "", (int)min(name.val_len, 31UL), name.val,
		 file.val_len ? ", " : "", (int)min(file.val_len, 24UL), file.val);
}

/* file= is for messages only: GRUB does not pass the file's name on. scripts/mkimage adds it. */
static int spec_word(struct guest_spec *g, const struct word *w)
{
	if (w->val && key_is(w, "file"))
		return 0;
	switch (g->kind) {
	case MODULE_GUEST: return guest_word(g, w);
	case MODULE_INITRD: return initrd_word(g, w);
	case MODULE_POLICY: return policy_word(g, w);
	default: return bad_word(g, w, "unknown word of policies-allowed");
	}
}

int guest_spec_parse(const char *args, struct guest_spec *g)
{
	const char *rest = args;
	static const char *const kinds[] = { "guest", "initrd", "policy", "policies-allowed" };
	unsigned kind = 0;
	struct word w;
	int ret = 0;

	*g = (struct guest_spec){ .number = g->number, .vcpus = 1, .mem = MEM_DEFAULT,
				  .cmdline = "", .on_reboot = GUEST_RESTART,
				  .on_crash = GUEST_DESTROY };
	next_word(&rest, &w);
	while (kind < ARRAY_SIZE(kinds) && (w.val || !key_is(&w, kinds[kind])))
		kind++;
	if (kind == ARRAY_SIZE(kinds)) {
		pr_err("module %u (%.*s): must start with\n"
		       "  guest, initrd, policy, policies-allowed or microcode\n",
		       g->number, 32, args);
		return -EINVAL;
	}
	g->kind = kind;
	set_label(g, kinds[kind], rest);
	g->points = BIT(NR_POINTS) - 1;
	/* Continue after an error, to report all errors and to find the name. */
	while (next_word(&rest, &w)) {
		if (!w.val && key_is(&w, "--")) {
			while (*rest == ' ' || *rest == '\t')
				rest++;
			g->cmdline = rest;
			break;
		}
		if (spec_word(g, &w))
			ret = -EINVAL;
	}
	if (g->kind <= MODULE_INITRD && !g->name[0] && !ret) {
		pr_err("%s: has no %s=\n", g->label, g->kind == MODULE_GUEST ? "name" : "for");
		ret = -EINVAL;
	}
	if (g->dedicated ? g->nr_pin && g->nr_pin != g->vcpus : g->trusted) {
		pr_err("%s: dedicated= lists a CPU for each vCPU;\n  trusted is for such a guest\n",
		       g->label);
		ret = -EINVAL;
	}
	return ret;
}

/* Returns the n-th CPU of a list that set_pin() has checked. */
static unsigned nth_pin(const struct guest_spec *g, u64 n)
{
	const char *p = g->pin_list;
	u64 from, to;

	while (!next_range(&p, g->pin_list + g->pin_list_len, &from, &to) && n > to - from)
		n -= to - from + 1;
	return (unsigned)(from + n);
}

void guest_spec_affinity(const struct guest_spec *g, unsigned int v, struct cpu_set *set)
{
	if (!g->nr_pin) {
		cpu_set_fill(set);
	} else if (g->nr_pin == g->vcpus && v < g->vcpus && g->pin_list) {
		memset(set, 0, sizeof(*set));
		cpu_set_add(set, nth_pin(g, v));
	} else {
		*set = g->pin;
	}
}
