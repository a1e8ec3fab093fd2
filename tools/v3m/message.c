/* SPDX-License-Identifier: BSD-2-Clause */
/* Messages, names of codes and states, and suggestions for words that are misspelled. */
#include <stdio.h>
#include <string.h>

#include "internal.h"

static void say_text(struct say *say, struct place place, const char *format, va_list args)
{
	char *text = g_strdup_vprintf(format, args);

	say->failed = true;
	if (say->fn)
		say->fn(say->opaque, say->file, place.line, place.column, text);
	g_free(text);
}

enum v3m_code say_at(struct say *say, struct place place, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	say_text(say, place, format, args);
	va_end(args);
	return V3M_INVALID;
}

enum v3m_code say_why(struct say *say, enum v3m_code code, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	say_text(say, (struct place){ 0, 0 }, format, args);
	va_end(args);
	return code;
}

const char *v3m_strerror(enum v3m_code code)
{
	static const char *const text[] = {
		[V3M_OK] = "no error",
		[V3M_INVALID] = "the profile is not valid",
		[V3M_USAGE] = "wrong use",
		[V3M_NOT_FOUND] = "not found",
		[V3M_EXISTS] = "exists already",
		[V3M_STATE] = "not possible in this state",
		[V3M_UNSUPPORTED] = "the hypervisor cannot do this",
		[V3M_NO_BACKEND] = "the hypervisor is not available",
		[V3M_DENIED] = "no rights",
		[V3M_FAILED] = "failed",
	};

	return (unsigned int)code < G_N_ELEMENTS(text) ? text[code] : "unknown error";
}

const char *v3m_state_name(enum v3m_state state)
{
	return state == V3M_RUNNING ? "running" : state == V3M_PAUSED ? "paused" : "off";
}

/* Returns the optimal string alignment distance: insertions, deletions, replacements and swaps of neighbours. */
static unsigned int distance(const char *a, const char *b)
{
	unsigned int d[3][33], n = (unsigned int)strlen(b);

	if (n > 32)
		return ~0u;
	for (unsigned int j = 0; j <= n; j++)
		d[0][j] = j;
	for (unsigned int i = 1; a[i - 1]; i++) {
		unsigned int *now = d[i % 3], *last = d[(i + 2) % 3], *before = d[(i + 1) % 3];

		now[0] = i;
		for (unsigned int j = 1; j <= n; j++) {
			now[j] = MIN(MIN(now[j - 1], last[j]) + 1,
				     last[j - 1] + (a[i - 1] != b[j - 1]));
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
				now[j] = MIN(now[j], before[j - 2] + 1);
		}
	}
	return d[strlen(a) % 3][n];
}

const char *suggest(const char *word, const char *const *words, unsigned int count)
{
	const char *best = NULL;
	unsigned int least = strlen(word) > 5 ? 3 : 2; /* at most, plus one */

	if (strlen(word) > 32)
		return NULL;
	for (unsigned int i = 0; i < count; i++) {
		char *folded = g_ascii_strdown(word, -1), *name = g_ascii_strdown(words[i], -1);
		unsigned int d = distance(folded, name);

		if (d < least || (d == least && !best && d < 3)) {
			best = words[i];
			least = d;
		}
		g_free(folded);
		g_free(name);
	}
	return best;
}
