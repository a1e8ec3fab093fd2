/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Says what Margay would say about its options and boot modules, with Margay's own code. Called by
 * scripts/mkimage: bootcheck OPTIONS [FILE=WORDS]... Prints Margay's warnings and errors. The
 * machine is unknown: each CPU exists. Status 1: there is a message, 2: a file cannot be read.
 */
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <fcntl.h>
#include <unistd.h>

#include <margay/boot_guest.h>
#include <margay/boot_state.h>
#include <margay/console.h>
#include <margay/elf.h>
#include <margay/policy_registry.h>
#include <x86/cpuid_policy.h>
#include <x86/features.h>
#include <x86/spec.h>

/* An empty machine whose CPUs have no features. */
struct boot_info boot_info;
struct x86_features x86;
struct cpu *host_cpu;
u8 *host_directmap;
u8 indirect_thunks[16 * 32];
unsigned nr_cpus = MAX_CPUS;
static unsigned messages, guests;
static struct policy accepted;

void cpuid_machine(u32 leaf __unused, u32 subleaf __unused, struct cpuid_regs *out)
{
	*out = (struct cpuid_regs){ 0 };
}

bool under_tcg(void)
{
	return false;
}

void printk_at(enum loglevel level, const char *fmt, ...)
{
	va_list ap;

	if (level > LOG_WARN)
		return;
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	messages++;
}

void panic(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	exit(2);
}

void *kzalloc(size_t size)
{
	return calloc(1, size);
}

void kfree(void *p)
{
	free(p);
}

void boot_guest_add(struct boot_guest *bg)
{
	struct elf_image elf;

	guests++;
	if (elf_parse(bg->image, bg->image_size, &elf))
		pr_err("%s: its kernel cannot be started:\n  %s\n", bg->spec.label, elf.why);
}

unsigned boot_guests_start(void)
{
	return guests;
}

void console_guests_started(void)
{
}

void arch_poweroff(void)
{
	exit(1);
}

/* A module can only be linked by the Margay that loads it. */
int policy_load_step(struct policy_load *l)
{
	if (l->len >= 4 && !memcmp(l->file, "\177ELF", 4))
		return 0;
	snprintf(l->why, sizeof(l->why), "not an ELF file");
	return -ENOEXEC;
}

struct policy *policy_last(void)
{
	return &accepted;
}

int policy_select(enum policy_point point __unused, struct policy *p __unused,
		  const struct cpu_set *set __unused)
{
	return 0;
}

void policy_log_selection(enum policy_point point __unused, const struct policy *p __unused,
			  const struct cpu_set *set __unused, const struct domain *by __unused)
{
}

void policy_allow(const char *text __unused, size_t len __unused)
{
}

static void check_options(const char *options)
{
	struct uart_config c;

	if (cmdline_parse(options)) {
#define OPT_NUMBER(name, def, kind, lo, hi, help) " " #name
#define OPT_STRING(name, def, len, help) " " #name
#define OPT_ENUM(name, def, words, help) " " #name
		printf("The options are"
#include <margay/options.def>
		       "\n");
	}
	uart_parse("com1", opt.com1, 0x3f8, &c);
	uart_parse("com2", opt.com2, 0x2f8, &c);
	option_check("console", "console", opt.console, console_names, ARRAY_SIZE(console_names));
	spec_init();
}

static void add_module(const char *path, const char *words)
{
	struct boot_module *m = &boot_info.mods[boot_info.nr_mods++];
	int fd = open(path, O_RDONLY);
	struct stat st;
	void *data;

	if (fd < 0 || fstat(fd, &st)) {
		perror(path);
		exit(2);
	}
	data = st.st_size ? mmap(NULL, st.st_size, PROT_READ, MAP_PRIVATE, fd, 0) : MAP_FAILED;
	close(fd);
	*m = (struct boot_module){ .size = st.st_size, .args = words };
	if (data != MAP_FAILED)
		m->start = virt_to_phys(data);
	else
		pr_err("module %u (%s) is empty\n", boot_info.nr_mods, words);
	if (!strncmp(words, "microcode ", 10))
		pr_err("module %u (microcode): has no words\n", boot_info.nr_mods);
	if (data == MAP_FAILED || (!strncmp(words, "microcode", 9) && words[9] <= ' '))
		m->bad = "not for boot_guests()";
}

int main(int argc, char **argv)
{
	if (argc < 2 || argc - 2 > BOOT_MAX_MODULES) {
		printf("Margay takes %u modules\n", BOOT_MAX_MODULES);
		return 1;
	}
	check_options(argv[1]);
	for (int i = 2; i < argc; i++) {
		char *words = strchr(argv[i], '=');

		if (words)
			*words++ = 0;
		add_module(argv[i], words ? words : "");
	}
	boot_guests();
	return messages != 0;
}
