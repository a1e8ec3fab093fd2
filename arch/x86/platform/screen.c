/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The screen that the boot loader hands over: pixels of direct colour, or VGA text. Text runs from
 * top to bottom and then from the top again; an empty line follows the newest. Nothing is scrolled,
 * since reading a screen's memory is slow. The console's lock protects it.
 */
#include <margay/boot.h>
#include <margay/cmdline.h>
#include <margay/console.h>
#include <x86/paging.h>
#include <x86/platform.h>

#define GLYPH_W 8U
#define GLYPH_H 16U
#define MAX_COLS 128U		/* bound the time for a line of a very large screen */
#define MAX_ROWS 64U
#define FIRST_GLYPH ' '
#define LAST_GLYPH '~'
#define TEXT_GREY 0x0700U	/* light grey on black */
#define BURST 32U		/* characters drawn at a time, some 50,000 instructions */

extern const u8 font_glyphs[][GLYPH_H];	/* from scripts/mkfont.py */

static struct screen {
	struct console con;
	volatile u8 *mem;
	u32 pitch, cols, rows, x, y;
	u8 pixel;
	bool text;
} screen;

static void clear_line(struct screen *s, u32 row)
{
	volatile u8 *line = s->mem + row * (s->text ? 1 : GLYPH_H) * s->pitch;

	for (u32 i = 0; s->text && i < s->cols; i++)
		((volatile u16 *)line)[i] = TEXT_GREY | ' ';
	for (u32 i = 0; !s->text && i < GLYPH_H; i++)
		memset((void *)(uintptr_t)(line + i * s->pitch), 0, s->cols * GLYPH_W * s->pixel);
}

static void draw(struct screen *s, u8 ch)
{
	volatile u8 *p = s->mem + s->y * GLYPH_H * s->pitch + s->x * GLYPH_W * s->pixel;

	for (u32 row = 0; row < GLYPH_H; row++, p += s->pitch)
		for (u32 x = 0; x < GLYPH_W; x++) {
			u32 colour = font_glyphs[ch - FIRST_GLYPH][row] & 0x80 >> x ? ~0U : 0;

			if (s->pixel == 4)
				((volatile u32 *)p)[x] = colour;
			for (u32 i = 0; s->pixel < 4 && i < s->pixel; i++)
				p[x * s->pixel + i] = (u8)colour;
		}
}

static void new_line(struct screen *s)
{
	s->x = 0;
	s->y = (s->y + 1) % s->rows;
	clear_line(s, (s->y + 1) % s->rows);
}

static void screen_put(struct console *c, char ch)
{
	struct screen *s = container_of(c, struct screen, con);

	if (ch == '\n')
		new_line(s);
	if (ch < FIRST_GLYPH || ch > LAST_GLYPH)
		return;
	if (s->x == s->cols)
		new_line(s);
	if (s->text)
		((volatile u16 *)(s->mem + s->y * s->pitch))[s->x] = (u16)(TEXT_GREY | (u8)ch);
	else
		draw(s, (u8)ch);
	s->x++;
}

static bool text_ready(struct console *c __unused)
{
	return true;
}

void __init screen_init(const struct boot_info *bi)
{
	const struct boot_screen *b = &bi->screen;
	struct screen *s = &screen;

	if (b->type == SCREEN_NONE || !option_lists(opt.console, "vga"))
		return;
	s->text = b->type == SCREEN_TEXT;
	s->pitch = b->pitch;
	s->pixel = b->pixel;
	s->cols = min(s->text ? b->width : b->width / GLYPH_W, MAX_COLS);
	s->rows = min(s->text ? b->height : b->height / GLYPH_H, MAX_ROWS);
	if (s->cols < 2 || s->rows < 3)
		return;
	s->mem = map_mmio(b->base, (u64)s->rows * (s->text ? 1 : GLYPH_H) * s->pitch);
	if (!s->mem)
		return;
	for (u32 row = 0; row < s->rows; row++)
		clear_line(s, row);
	s->con = (struct console){ .name = "vga", .burst = BURST, .put = screen_put,
				   .ready = s->text ? text_ready : NULL };
	console_add(&s->con);
}
