/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Margay's own options: generated from options.def, read once at boot. Errors are reported by name.
 * Also holds the word and number parsers for other boot strings.
 */
#include <margay/cmdline.h>
#include <margay/errno.h>

enum opt_kind { KIND_FLAG, KIND_UINT, KIND_LETTER, KIND_STRING, KIND_ENUM };

struct option {
	const char *name;
	enum opt_kind kind;
	void *value;		  /* a string or a u32 */
	u32 lo, hi;		  /* bounds of a number; STRING: hi is the maximum length */
	const char *const *words; /* FLAG, ENUM: ends with NULL */
	const char *help;
};

/* Odd indices mean yes. */
static const char *const flag_words[] = { "no",  "yes",	  "0",	  "1", "off",
					  "on", "false", "true", NULL };

#define OPT_NUMBER(name, def, kind, lo, hi, help) .name = def,
#define OPT_STRING(name, def, len, help) .name = def,
#define OPT_ENUM(name, def, words, help) .name = def,
struct margay_options opt = {
#include <margay/options.def>
};

#define OPT_NUMBER(name, def, kind, lo, hi, help) \
	{ #name, kind, &opt.name, lo, hi, flag_words, help },
#define OPT_STRING(name, def, len, help) { #name, KIND_STRING, opt.name, 0, len, NULL, help },
#define OPT_WORD(constant, word) word,
#define OPT_ENUM(name, def, words, help)                                                            \
	{                                                                                           \
		#name, KIND_ENUM, &opt.name, 0, ~0U, (const char *const[]){ words(OPT_WORD) NULL }, \
		help                                                                                \
	},
static const struct option options[] = {
#include <margay/options.def>
};

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

bool next_word(const char **s, struct word *w)
{
	const char *p = *s;

	while (is_blank(*p))
		p++;
	for (*w = (struct word){ .s = p }; *p && !is_blank(*p); p++)
		if (*p == '=' && !w->val)
			w->val = p + 1;
	w->len = p - w->s;
	w->val_len = w->val ? p - w->val : 0;
	*s = p;
	return w->len;
}

static bool word_is(const char *word, size_t len, const char *s)
{
	return strlen(s) == len && !memcmp(word, s, len);
}

bool key_is(const struct word *w, const char *key)
{
	return word_is(w->s, w->val ? (size_t)(w->val - 1 - w->s) : w->len, key);
}

bool val_is(const struct word *w, const char *val)
{
	return w->val && word_is(w->val, w->val_len, val);
}

int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : 16;
}

int parse_uint(const char *s, size_t len, u64 *out)
{
	int base = 10;
	u64 v = 0;

	if (len > 2 && s[0] == '0' && (s[1] == 'x' || s[1] == 'X')) {
		base = 16;
		s += 2;
		len -= 2;
	}
	if (!len)
		return -EINVAL;
	for (; len; len--, s++) {
		int d = hex_digit(*s);

		if (d >= base)
			return -EINVAL;
		if (__builtin_mul_overflow(v, (u64)base, &v) ||
		    __builtin_add_overflow(v, (u64)d, &v))
			return -ERANGE;
	}
	*out = v;
	return 0;
}

int parse_size(const char *s, size_t len, u64 *out)
{
	static const char units[] = "kmgt";
	const char *u = len ? memchr(units, s[len - 1] | 0x20, 4) : NULL;
	unsigned int shift = u ? 10 * (u - units + 1) : 0;
	int ret = parse_uint(s, u ? len - 1 : len, out);

	if (ret)
		return ret;
	if (*out > ~0UL >> shift)
		return -ERANGE;
	*out <<= shift;
	return 0;
}

/* Sets an option. Returns false, and changes nothing, for a bad value. */
static bool set_option(const struct option *o, const char *v, size_t len)
{
	bool ok = true;
	u64 n = 0;

	switch (o->kind) {
	case KIND_STRING:
		if (!len || len > o->hi)
			return false;
		memcpy(o->value, v, len);
		((char *)o->value)[len] = 0;
		return true;
	case KIND_UINT:
		ok = !parse_uint(v, len, &n);
		break;
	case KIND_LETTER:
		ok = len == 1;
		n = (u8)*v;
		break;
	case KIND_FLAG:
	case KIND_ENUM:
		while (o->words[n] && !word_is(v, len, o->words[n]))
			n++;
		ok = o->words[n];
		n &= o->kind == KIND_FLAG ? 1 : ~0UL;
		break;
	}
	if (!ok || n < o->lo || n > o->hi)
		return false;
	*(u32 *)o->value = (u32)n;
	return true;
}

/* Describes the values of an option, for messages. */
static const char *describe(const struct option *o, char *buf, size_t size)
{
	size_t at = 0;

	switch (o->kind) {
	case KIND_FLAG: return "yes or no";
	case KIND_LETTER: return "a letter";
	case KIND_UINT: snprintf(buf, size, "%u to %u", o->lo, o->hi); break;
	case KIND_STRING: snprintf(buf, size, "at most %u characters", o->hi); break;
	case KIND_ENUM:
		for (size_t i = 0; o->words[i] && at < size; i++)
			at += snprintf(buf + at, size - at, "%s%s", i ? "|" : "", o->words[i]);
		break;
	}
	return buf;
}

static bool one_option(const struct word *w)
{
	char buf[80];

	for (unsigned int i = 0; i < ARRAY_SIZE(options); i++) {
		const struct option *o = &options[i];

		if (!key_is(w, o->name))
			continue;
		if (!w->val && o->kind != KIND_FLAG) {
			pr_err("option %s needs a value: %s\n", o->name,
			       describe(o, buf, sizeof(buf)));
			return false;
		}
		if (!set_option(o, w->val ? w->val : "yes", w->val ? w->val_len : 3)) {
			pr_err("option %.*s: bad value, expected %s\n", (int)min(w->len, 80UL),
			       w->s, describe(o, buf, sizeof(buf)));
			return false;
		}
		return true;
	}
	pr_err("unknown option: %.*s\n", (int)min(w->len, 80UL), w->s);
	return false;
}

unsigned int cmdline_parse(const char *line)
{
	unsigned int bad = 0;
	struct word w;

	while (next_word(&line, &w))
		bad += !one_option(&w);
	return bad;
}

void cmdline_help(void)
{
	char buf[80];

	for (unsigned int i = 0; i < ARRAY_SIZE(options); i++) {
		const struct option *o = &options[i];
		u32 n = *(u32 *)o->value;

		switch (o->kind) {
		case KIND_UINT: snprintf(buf, sizeof(buf), "%u", n); break;
		case KIND_LETTER: snprintf(buf, sizeof(buf), "%c", (char)n); break;
		case KIND_STRING: strcopy(buf, o->value, sizeof(buf)); break;
		default: strcopy(buf, o->words[n], sizeof(buf)); break;
		}
		printk("  %s=%s  %s\n", o->name, buf, o->help);
		if (o->kind == KIND_ENUM)
			printk("      one of %s\n", describe(o, buf, sizeof(buf)));
	}
}

/* PC16550D 8.1. The lowest bits are the word length minus 5. */
#define LCR_STB 0x04
#define LCR_PEN 0x08
#define LCR_EPS 0x10

int uart_parse(const char *name, const char *s, u16 iobase, struct uart_config *c)
{
	const char *end = s + strlen(s), *comma = memchr(s, ',', end - s), *p = comma;
	u64 baud, base = iobase;
	bool pci = false;

	*c = (struct uart_config){ 115200, 3, iobase, false };
	if (parse_uint(s, (comma ? comma : end) - s, &baud) || !baud || baud > 115200 ||
	    115200 % baud)
		goto bad;
	if (p) {
		p++;
		if (end - p < 3 || (p[0] != '7' && p[0] != '8') ||
		    (p[1] != 'n' && p[1] != 'o' && p[1] != 'e') || (p[2] != '1' && p[2] != '2') ||
		    (p[3] && p[3] != ','))
			goto bad;
		pci = p[3] && !strcmp(p + 4, "pci");
		if (p[3] && !pci &&
		    (parse_uint(p + 4, end - p - 4, &base) || !base || base > 0xfff8))
			goto bad;
		c->lcr = (u8)((p[0] - '5') | (p[2] == '2' ? LCR_STB : 0) |
			      (p[1] == 'n' ? 0 :
			       p[1] == 'o' ? LCR_PEN :
					     LCR_PEN | LCR_EPS));
	}
	c->baud = baud;
	c->iobase = base;
	c->pci = pci;
	return 0;
bad:
	pr_err("option %s=%s: bad value, uses 115200,8n1\n"
	       "  expected BAUD[,8n1[,IOBASE or pci]]\n",
	       name, s);
	return -EINVAL;
}

bool next_item(const char **list, struct word *item)
{
	size_t len = 0;

	if (!**list)
		return false;
	while ((*list)[len] && (*list)[len] != ',')
		len++;
	*item = (struct word){ .s = *list, .len = len };
	*list += len + ((*list)[len] == ',');
	return true;
}

void option_check(const char *option, const char *what, const char *list, const char *const *words,
		  unsigned n)
{
	struct word item;

	while (next_item(&list, &item)) {
		unsigned i = 0;

		while (i < n && !key_is(&item, words[i]))
			i++;
		if (i == n)
			pr_err("option %s: there is no %s '%.*s'\n", option, what, (int)item.len,
			       item.s);
	}
}

bool option_lists(const char *list, const char *word)
{
	struct word item;

	while (next_item(&list, &item))
		if (key_is(&item, word))
			return true;
	return false;
}
