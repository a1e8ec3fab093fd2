/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Margay's own options: generated from options.def, read once at boot, reported by name when wrong.
 * Also the words and numbers that other parsers of boot strings use.
 */
#include <margay/cmdline.h>
#include <margay/errno.h>
#include <margay/lib.h>
#include <margay/printk.h>

enum opt_kind { KIND_FLAG, KIND_UINT, KIND_SIZE, KIND_LETTER, KIND_STRING, KIND_ENUM };

struct option {
	const char *name;
	enum opt_kind kind;
	void *value;
	u64 lo, hi;		  /* UINT, SIZE: bounds; STRING: hi is the longest */
	const char *const *words; /* ENUM: ends with NULL */
	const char *help;
};

#define OPT_FLAG(name, def, help) .name = def,
#define OPT_UINT(name, def, lo, hi, help) .name = def,
#define OPT_SIZE(name, def, lo, hi, help) .name = def,
#define OPT_LETTER(name, def, help) .name = def,
#define OPT_STRING(name, def, len, help) .name = def,
#define OPT_ENUM(name, def, words, help) .name = def,
struct margay_options opt = {
#include <margay/options.def>
};

#define OPT_FLAG(name, def, help)
#define OPT_UINT(name, def, lo, hi, help)
#define OPT_SIZE(name, def, lo, hi, help)
#define OPT_LETTER(name, def, help)
#define OPT_STRING(name, def, len, help)
#define OPT_WORD(constant, word) word,
#define OPT_ENUM(name, def, words, help) \
	static const char *const words_##name[] = { words(OPT_WORD) NULL };
#include <margay/options.def>
#undef OPT_WORD

#define OPT_FLAG(name, def, help) { #name, KIND_FLAG, &opt.name, 0, 1, NULL, help },
#define OPT_UINT(name, def, lo, hi, help) { #name, KIND_UINT, &opt.name, lo, hi, NULL, help },
#define OPT_SIZE(name, def, lo, hi, help) { #name, KIND_SIZE, &opt.name, lo, hi, NULL, help },
#define OPT_LETTER(name, def, help) { #name, KIND_LETTER, &opt.name, 'a', 'z', NULL, help },
#define OPT_STRING(name, def, len, help) { #name, KIND_STRING, opt.name, 0, len, NULL, help },
#define OPT_ENUM(name, def, words, help) { #name, KIND_ENUM, &opt.name, 0, 0, words_##name, help },
static const struct option options[] = {
#include <margay/options.def>
};

size_t next_word(const char **s, const char **word)
{
	const char *p = *s, *start;

	while (*p == ' ' || *p == '\t' || *p == '\n' || *p == '\r')
		p++;
	start = p;
	while (*p && *p != ' ' && *p != '\t' && *p != '\n' && *p != '\r')
		p++;
	*word = start;
	*s = p;
	return p - start;
}

static int digit(char c)
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
		int d = digit(*s);

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
	unsigned int shift = 0;
	const char *u;
	int ret;

	if (len) {
		u = strchr(units, s[len - 1] | 0x20);
		if (u && *u) {
			shift = 10 * (u - units + 1);
			len--;
		}
	}
	ret = parse_uint(s, len, out);
	if (ret)
		return ret;
	if (*out > ~0UL >> shift)
		return -ERANGE;
	*out <<= shift;
	return 0;
}

static bool word_is(const char *word, size_t len, const char *s)
{
	return strlen(s) == len && !memcmp(word, s, len);
}

static int set_flag(bool *flag, const char *v, size_t len)
{
	static const char *const yes[] = { "", "1", "yes", "on", "true" };
	static const char *const no[] = { "0", "no", "off", "false" };

	for (unsigned int i = 0; i < ARRAY_SIZE(yes); i++) {
		if (word_is(v, len, yes[i])) {
			*flag = true;
			return 0;
		}
	}
	for (unsigned int i = 0; i < ARRAY_SIZE(no); i++) {
		if (word_is(v, len, no[i])) {
			*flag = false;
			return 0;
		}
	}
	return -EINVAL;
}

static int set_option(const struct option *o, const char *v, size_t len)
{
	u64 n;
	int ret;

	switch (o->kind) {
	case KIND_FLAG:
		return set_flag(o->value, v, len);
	case KIND_UINT:
	case KIND_SIZE:
		ret = o->kind == KIND_UINT ? parse_uint(v, len, &n) : parse_size(v, len, &n);
		if (ret)
			return ret;
		if (n < o->lo || n > o->hi)
			return -ERANGE;
		if (o->kind == KIND_UINT)
			*(u32 *)o->value = n;
		else
			*(u64 *)o->value = n;
		return 0;
	case KIND_LETTER:
		if (len != 1 || *v < 'a' || *v > 'z')
			return -EINVAL;
		*(char *)o->value = *v;
		return 0;
	case KIND_STRING:
		if (len > o->hi)
			return -ERANGE;
		memcpy(o->value, v, len);
		((char *)o->value)[len] = 0;
		return 0;
	case KIND_ENUM:
		for (u32 i = 0; o->words[i]; i++) {
			if (word_is(v, len, o->words[i])) {
				*(u32 *)o->value = i;
				return 0;
			}
		}
	}
	return -EINVAL;
}

/* The values an option takes, for messages. */
static const char *describe(const struct option *o, char *buf, size_t size)
{
	size_t at = 0, i;

	buf[0] = 0;
	switch (o->kind) {
	case KIND_FLAG: return "yes or no";
	case KIND_LETTER: return "a letter";
	case KIND_UINT:
	case KIND_SIZE: snprintf(buf, size, "%lu to %lu", o->lo, o->hi); break;
	case KIND_STRING: snprintf(buf, size, "at most %lu characters", o->hi); break;
	case KIND_ENUM:
		for (i = 0; o->words[i] && at < size; i++)
			at += snprintf(buf + at, size - at, "%s%s", i ? "|" : "", o->words[i]);
		break;
	}
	return buf;
}

static bool one_option(const char *word, size_t len)
{
	const char *eq = memchr(word, '=', len);
	size_t name_len = eq ? (size_t)(eq - word) : len;
	char buf[80];

	for (unsigned int i = 0; i < ARRAY_SIZE(options); i++) {
		const struct option *o = &options[i];

		if (!word_is(word, name_len, o->name))
			continue;
		if (!eq && o->kind != KIND_FLAG) {
			pr_err("option %s needs a value: %s\n", o->name,
			       describe(o, buf, sizeof(buf)));
			return false;
		}
		if ((eq && eq + 1 == word + len) ||
		    set_option(o, eq ? eq + 1 : "", eq ? word + len - eq - 1 : 0)) {
			pr_err("option %.*s: bad value, it takes %s\n", (int)min(len, 80UL), word,
			       describe(o, buf, sizeof(buf)));
			return false;
		}
		return true;
	}
	pr_err("unknown option: %.*s\n", (int)min(len, 80UL), word);
	return false;
}

unsigned int cmdline_parse(const char *line)
{
	unsigned int bad = 0;
	const char *word;
	size_t len;

	while ((len = next_word(&line, &word)))
		bad += !one_option(word, len);
	return bad;
}

void cmdline_help(void)
{
	char buf[80];

	for (unsigned int i = 0; i < ARRAY_SIZE(options); i++) {
		const struct option *o = &options[i];

		switch (o->kind) {
		case KIND_FLAG:
			snprintf(buf, sizeof(buf), "%s", *(bool *)o->value ? "yes" : "no");
			break;
		case KIND_UINT: snprintf(buf, sizeof(buf), "%u", *(u32 *)o->value); break;
		case KIND_SIZE: snprintf(buf, sizeof(buf), "%#lx", *(u64 *)o->value); break;
		case KIND_LETTER: snprintf(buf, sizeof(buf), "%c", *(char *)o->value); break;
		case KIND_STRING: snprintf(buf, sizeof(buf), "%s", (char *)o->value); break;
		case KIND_ENUM: snprintf(buf, sizeof(buf), "%s", o->words[*(u32 *)o->value]); break;
		}
		printk("  %s=%s  %s\n", o->name, buf, o->help);
		if (o->kind == KIND_ENUM)
			printk("      one of %s\n", describe(o, buf, sizeof(buf)));
	}
}

int com1_parse(const char *s, struct com1_config *c)
{
	const char *end = s + strlen(s), *comma = memchr(s, ',', end - s), *p = comma;
	u64 baud, iobase = 0x3f8;

	*c = (struct com1_config){115200, 8, 'n', 1, 0x3f8};
	if (parse_uint(s, (comma ? comma : end) - s, &baud) || !baud || baud > 115200 ||
	    115200 % baud)
		goto bad;
	if (p) {
		p++;
		if (end - p < 3 || (p[0] != '7' && p[0] != '8') ||
		    (p[1] != 'n' && p[1] != 'o' && p[1] != 'e') || (p[2] != '1' && p[2] != '2') ||
		    (p[3] && p[3] != ','))
			goto bad;
		if (p[3] && (parse_uint(p + 4, end - p - 4, &iobase) || !iobase || iobase > 0xfff8))
			goto bad;
		c->data_bits = p[0] - '0';
		c->parity = p[1];
		c->stop_bits = p[2] - '0';
	}
	c->baud = baud;
	c->iobase = iobase;
	return 0;
bad:
	pr_err("option com1=%s: bad value, it takes BAUD[,8n1[,IOBASE]]\n", s);
	return -EINVAL;
}
