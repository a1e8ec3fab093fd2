/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Margay's options (`opt`, from options.def) and the strings of boot modules. cmdline_parse()
 * writes `opt` on the boot CPU; afterwards it is read-only.
 */
#pragma once

#include <margay/cpu_set.h>

#define OPT_NUMBER(name, def, kind, lo, hi, help)
#define OPT_STRING(name, def, len, help)
#define OPT_WORD(constant, word) constant,
#define OPT_ENUM(name, def, words, help) enum opt_##name { words(OPT_WORD) };
#include <margay/options.def>
#undef OPT_WORD

#define OPT_NUMBER(name, def, kind, lo, hi, help) u32 name;
#define OPT_STRING(name, def, len, help) char name[(len) + 1];
#define OPT_ENUM(name, def, words, help) u32 name; /* enum opt_##name */
struct margay_options {
#include <margay/options.def>
};

extern struct margay_options opt;

/*
 * Parses Margay's own command line into `opt`, which holds the defaults before. Reports unknown
 * options and bad values by name and skips them. Returns their number.
 */
unsigned int cmdline_parse(const char *line);

/* Prints every option with its current value and its help text. */
void cmdline_help(void);

struct uart_config {
	u32 baud;
	u8 lcr; /* the UART's line control register: data bits, parity, stop bits */
	u16 iobase;
	bool pci; /* the first serial controller on PCI, in place of iobase */
};

/*
 * Parses the value of `com1=` or `com2=`, whose port is `iobase` unless it says another. -EINVAL
 * (reported): bad value; `c` then holds 115200,8n1.
 */
int uart_parse(const char *name, const char *s, u16 iobase, struct uart_config *c);

static const char *const console_names[] __unused = { "com1", "com2", "spcr",
						      "dbg2", "vga",  "none" };
/* Returns whether an option's list of words with commas between holds the word. */
bool option_lists(const char *list, const char *word);
/* Reports the words of such a list that are none of words[]; what: "console", for the message. */
void option_check(const char *option, const char *what, const char *list, const char *const *words,
		  unsigned n);

/* Boot module strings, e.g. `guest name=a vcpus=2 mem=512M -- console=hvc0`. */
#define GUEST_NAME_LEN 31

enum module_kind { MODULE_GUEST, MODULE_INITRD, MODULE_POLICY, MODULE_ALLOWED };
enum guest_action { GUEST_RESTART, GUEST_DESTROY, GUEST_MACHINE };

struct guest_spec {
	unsigned int number; /* of the module, from 1; the caller sets it before it parses */
	char label[80]; /* for messages: `module 2 (guest a, vmlinux)` */
	enum module_kind kind;
	char name[GUEST_NAME_LEN + 1]; /* of the guest; for an initrd, of the guest it belongs to */
	unsigned int vcpus;
	u64 mem; /* bytes, a multiple of the page size */
	bool initial;
	bool control;
	bool dedicated;	/* each vCPU owns a CPU of pin */
	bool trusted;	/* ... with its real local APIC, by memory */
	bool pmu;	/* performance counters also without CPUs of its own */
	enum guest_action on_reboot;
	enum guest_action on_crash;
	unsigned int points; /* of a policy: a bit per policy point to select it for */
	unsigned int nr_pin; /* CPUs in pin; 0: no restriction */
	struct cpu_set pin;
	const char *pin_list; /* the list as given, as text inside `args` */
	size_t pin_list_len;
	bool pci;		/* it has a PCI bus */
	const char *pci_list;	/* its functions as given; NULL: none */
	size_t pci_list_len;
	const char *cmdline;	      /* the text after `--`, inside `args`; never NULL */
};

/* Parses a boot module's string. Reports errors with the label and the word. Returns -EINVAL. */
int guest_spec_parse(const char *args, struct guest_spec *g);

/*
 * Returns the CPUs that vCPU `v` may run on: the v-th listed CPU if the list has one per vCPU, else
 * all listed CPUs, or all CPUs if none is listed.
 */
void guest_spec_affinity(const struct guest_spec *g, unsigned int v, struct cpu_set *set);

/*
 * Parses the next PCI function of such a list (0000:03:00.0,...) at *p, which ends at `end`, and
 * advances *p, at the end to NULL. -EINVAL if it is malformed.
 */
int next_pci_function(const char **p, const char *end, u32 *sbdf);

/*
 * Parse a number of an option: decimal or 0x hex, exactly `len` characters. parse_size() also
 * accepts a suffix K, M, G, T (or lower case). -EINVAL: not a number, -ERANGE: over 64 bits.
 */
int parse_uint(const char *s, size_t len, u64 *out);
int parse_size(const char *s, size_t len, u64 *out);

/* Returns the value of a hexadecimal digit; 16 for other characters. */
int hex_digit(char c);

/* A word of a boot string: `key` or `key=value`. */
struct word {
	const char *s, *val; /* val: NULL without `=` */
	size_t len, val_len;
};

/* Finds the word at or after *s, without blanks, and advances *s past it. False at the end. */
bool next_word(const char **s, struct word *w);
/* The same for the next item of a list with commas between, without a value. */
bool next_item(const char **list, struct word *item);
bool key_is(const struct word *w, const char *key);
bool val_is(const struct word *w, const char *val);
