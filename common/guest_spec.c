/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Reads the strings of boot modules: `guest name=... -- command line`, `initrd for=...`. Errors are
 * reported here, with the guest and the word, because only here they are known.
 */
#include <margay/cmdline.h>
#include <margay/errno.h>
#include <margay/lib.h>
#include <margay/printk.h>
#include <margay/types.h>

#define MEM_DEFAULT (128UL << 20)
#define MEM_MIN (2UL << 20)
#define MEM_MAX (16UL << 40)
#define NR_CPUS_MAX 256

/* One `key=value` or bare word. */
struct word {
	const char *s;
	size_t len;
	const char *val; /* NULL without `=` */
	size_t val_len;
};

static bool key_is(const struct word *w, const char *key)
{
	size_t n = w->val ? (size_t)(w->val - 1 - w->s) : w->len;

	return strlen(key) == n && !memcmp(w->s, key, n);
}

static bool val_is(const struct word *w, const char *val)
{
	return strlen(val) == w->val_len && !memcmp(w->val, val, w->val_len);
}

static int bad_word(const struct guest_spec *g, const struct word *w, const char *why)
{
	pr_err("module for guest %s: %.*s: %s\n", g->name[0] ? g->name : "(no name)",
	       (int)min(w->len, 80UL), w->s, why);
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

static int add_pin(struct guest_spec *g, const struct word *w, u64 from, u64 to)
{
	if (to < from || to >= NR_CPUS_MAX)
		return bad_word(g, w, "CPUs are 0 to 255, a range goes upwards");
	for (; from <= to; from++) {
		if (g->pin[from / 64] & BIT(from % 64))
			return bad_word(g, w, "a CPU is listed twice");
		g->pin[from / 64] |= BIT(from % 64);
		if (g->nr_pin < ARRAY_SIZE(g->pin_list))
			g->pin_list[g->nr_pin] = from;
		g->nr_pin++;
	}
	return 0;
}

/* A list such as 0,2-3. */
static int set_pin(struct guest_spec *g, const struct word *w)
{
	const char *p = w->val, *end = w->val + w->val_len;
	int ret = 0;

	memset(g->pin, 0, sizeof(g->pin));
	g->nr_pin = 0;
	while (!ret) {
		const char *comma = memchr(p, ',', end - p);
		const char *stop = comma ? comma : end;
		const char *dash = memchr(p, '-', stop - p);
		u64 from, to;

		if (parse_uint(p, (dash ? dash : stop) - p, &from))
			return bad_word(g, w, "not a list of CPUs such as 0,2-3");
		to = from;
		if (dash && parse_uint(dash + 1, stop - dash - 1, &to))
			return bad_word(g, w, "not a list of CPUs such as 0,2-3");
		ret = add_pin(g, w, from, to);
		if (!comma)
			return ret;
		p = comma + 1;
	}
	return ret;
}

static int set_action(const struct guest_spec *g, const struct word *w, enum guest_action *action)
{
	if (val_is(w, "restart"))
		*action = GUEST_RESTART;
	else if (val_is(w, "destroy"))
		*action = GUEST_DESTROY;
	else
		return bad_word(g, w, "must be restart or destroy");
	return 0;
}

static int guest_word(struct guest_spec *g, const struct word *w)
{
	u64 n;

	if (!w->val) {
		if (key_is(w, "initial"))
			g->initial = true;
		else if (key_is(w, "control"))
			g->control = true;
		else
			return bad_word(g, w, "unknown word");
		return 0;
	}
	if (key_is(w, "name"))
		return set_name(g, w);
	if (key_is(w, "pin"))
		return set_pin(g, w);
	if (key_is(w, "on_reboot"))
		return set_action(g, w, &g->on_reboot);
	if (key_is(w, "on_crash"))
		return set_action(g, w, &g->on_crash);
	if (key_is(w, "vcpus")) {
		if (parse_uint(w->val, w->val_len, &n) || !n || n > GUEST_MAX_VCPUS)
			return bad_word(g, w, "must be 1 to 64");
		g->vcpus = n;
		return 0;
	}
	if (key_is(w, "mem")) {
		if (parse_size(w->val, w->val_len, &n) || n < MEM_MIN || n > MEM_MAX ||
		    !IS_ALIGNED(n, PAGE_SIZE))
			return bad_word(g, w, "must be 2M to 16T, whole pages, e.g. 512M");
		g->mem = n;
		return 0;
	}
	return bad_word(g, w, "unknown word");
}

/* The next word, or false at the end or at `--`, with *args behind it. */
static bool get_word(const char **args, struct word *w, bool *dashes)
{
	const char *eq;

	w->len = next_word(args, &w->s);
	*dashes = w->len == 2 && !memcmp(w->s, "--", 2);
	if (!w->len || *dashes)
		return false;
	eq = memchr(w->s, '=', w->len);
	w->val = eq ? eq + 1 : NULL;
	w->val_len = eq ? (size_t)(w->s + w->len - w->val) : 0;
	return true;
}

static int parse_guest(const char *args, struct guest_spec *g)
{
	bool dashes;
	struct word w;
	int ret = 0, one;

	/* Go on after an error, so that all are reported and the name is known for sure. */
	while (get_word(&args, &w, &dashes)) {
		one = guest_word(g, &w);
		ret = ret ? ret : one;
	}
	if (dashes) {
		while (*args == ' ' || *args == '\t')
			args++;
		g->cmdline = args;
	}
	if (!g->name[0] && !ret) {
		pr_err("guest module without name=\n");
		ret = -EINVAL;
	}
	return ret;
}

static int parse_initrd(const char *args, struct guest_spec *g)
{
	bool dashes;
	struct word w;
	int ret = 0;

	while (!ret && get_word(&args, &w, &dashes))
		ret = w.val && key_is(&w, "for") ? set_name(g, &w) :
						   bad_word(g, &w, "unknown word of an initrd");
	if (!ret && !g->name[0]) {
		pr_err("initrd module without for=\n");
		ret = -EINVAL;
	}
	return ret;
}

int guest_spec_parse(const char *args, struct guest_spec *g)
{
	const char *rest = args;
	bool dashes;
	struct word w;

	memset(g, 0, sizeof(*g));
	g->vcpus = 1;
	g->mem = MEM_DEFAULT;
	g->on_reboot = GUEST_RESTART;
	g->on_crash = GUEST_DESTROY;
	g->cmdline = "";

	if (get_word(&rest, &w, &dashes)) {
		if (key_is(&w, "guest") && !w.val)
			return parse_guest(rest, g);
		if (key_is(&w, "initrd") && !w.val) {
			g->kind = MODULE_INITRD;
			return parse_initrd(rest, g);
		}
		if (key_is(&w, "policy") && !w.val) {
			g->kind = MODULE_POLICY;
			pr_err("module (%s): policies are not supported yet\n", args);
			return -EOPNOTSUPP;
		}
	}
	pr_err("module (%s): must start with guest or initrd\n", args);
	return -EINVAL;
}

void guest_spec_affinity(const struct guest_spec *g, unsigned int v, u64 mask[4])
{
	memset(mask, g->nr_pin ? 0 : 0xff, 4 * sizeof(*mask));
	if (!g->nr_pin)
		return;
	if (g->nr_pin == g->vcpus && v < g->vcpus)
		mask[g->pin_list[v] / 64] = BIT(g->pin_list[v] % 64);
	else
		memcpy(mask, g->pin, sizeof(g->pin));
}
