/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Output: JSON (RFC 8259), and texts of modules for a terminal. A module's text may hold any bytes.
 * Bytes other than plain ASCII are escaped in JSON and shown as question marks on a terminal.
 */
#include <string.h>

#include "mgctl.h"

static void quoted(FILE *f, const char *text, size_t size)
{
	fputc('"', f);
	for (size_t i = 0; i < size && text[i]; i++) {
		unsigned char c = (unsigned char)text[i];

		if (c == '"' || c == '\\')
			fprintf(f, "\\%c", c);
		else if (c < ' ' || c > '~')
			fprintf(f, "\\u%04x", c);
		else
			fputc(c, f);
	}
	fputc('"', f);
}

static void begin_value(struct json *j, const char *key)
{
	if (j->more)
		fputs(", ", j->f);
	j->more = true;
	if (key) {
		quoted(j->f, key, strlen(key));
		fputs(": ", j->f);
	}
}

void json_begin(struct json *j, const char *key, char bracket)
{
	begin_value(j, key);
	fputc(bracket, j->f);
	j->more = false;
}

void json_end(struct json *j, char bracket)
{
	fputc(bracket, j->f);
	j->more = true;
}

void json_text(struct json *j, const char *key, const char *text, size_t size)
{
	begin_value(j, key);
	quoted(j->f, text, size);
}

void json_number(struct json *j, const char *key, uint64_t value)
{
	begin_value(j, key);
	fprintf(j->f, "%llu", (unsigned long long)value);
}

void json_raw(struct json *j, const char *key, const char *text)
{
	begin_value(j, key);
	fputs(text, j->f);
}

void json_bool(struct json *j, const char *key, bool value)
{
	begin_value(j, key);
	fputs(value ? "true" : "false", j->f);
}

void json_hex(struct json *j, const char *key, const uint8_t *bytes, size_t size)
{
	begin_value(j, key);
	fputc('"', j->f);
	for (size_t i = 0; i < size; i++)
		fprintf(j->f, "%02x", bytes[i]);
	fputc('"', j->f);
}
