/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Boot modules: reads their strings, loads policies, and matches guests with their initrds. Runs on
 * the boot CPU.
 */
#include <margay/boot_guest.h>
#include <margay/boot_state.h>
#include <margay/console.h>
#include <margay/pci.h>
#include <margay/policy_registry.h>

static struct boot_guest *find_guest(struct boot_guest **guests, unsigned n, const char *name)
{
	for (unsigned i = 0; i < n; i++)
		if (!strcmp(guests[i]->spec.name, name))
			return guests[i];
	return NULL;
}

/* Reports and refuses a list of CPUs of which this machine lacks some. */
static bool pinned_to_absent(const struct guest_spec *spec)
{
	if (!spec->nr_pin || find_next_bit(spec->pin.bits, MAX_CPUS, nr_cpus) == MAX_CPUS)
		return false;
	pr_err("%s: CPUs %.*s: the machine has %u, from 0\n", spec->label,
	       (int)min(spec->pin_list_len, 80UL), spec->pin_list, nr_cpus);
	return true;
}

/* The control domain that has the devices does not get those that a guest of the boot wants. */
static void reserve_functions(const struct guest_spec *spec)
{
	const char *p = spec->pci_list;
	struct pci_function *f;
	u32 sbdf;

	while (p && !next_pci_function(&p, spec->pci_list + spec->pci_list_len, &sbdf)) {
		f = pci_find(sbdf);
		if (f)
			f->reserved = true;
	}
}

static struct boot_guest *parse_guest(const struct boot_module *m, unsigned index)
{
	struct boot_guest *bg = kzalloc(sizeof(*bg));

	if (!bg)
		panic("no memory to read boot module %u\n", index + 1);
	bg->spec.number = index + 1;
	if (guest_spec_parse(m->args, &bg->spec) || pinned_to_absent(&bg->spec)) {
		kfree(bg);
		return NULL;
	}
	reserve_functions(&bg->spec);
	bg->image = phys_to_virt(m->start);
	bg->image_size = m->size;
	return bg;
}

static void attach_initrd(struct boot_guest **guests, unsigned n, struct boot_guest *rd)
{
	struct boot_guest *g = find_guest(guests, n, rd->spec.name);

	if (!g) {
		pr_err("%s: there is no guest of that name\n", rd->spec.label);
	} else if (g->initrd) {
		pr_err("%s: ignored: that guest has one already\n", rd->spec.label);
	} else {
		g->initrd = rd->image;
		g->initrd_size = rd->image_size;
	}
	kfree(rd);
}

static unsigned add_guest(struct boot_guest **guests, unsigned n, struct boot_guest *g)
{
	bool initial = false;

	for (unsigned i = 0; i < n; i++)
		initial |= guests[i]->spec.initial;
	if (find_guest(guests, n, g->spec.name))
		pr_err("%s: ignored: that name is taken\n", g->spec.label);
	else if (g->spec.initial && initial && !opt.one_by_one)
		pr_err("%s: ignored: another guest is initial\n", g->spec.label);
	else {
		guests[n] = g;
		return n + 1;
	}
	kfree(g);
	return n;
}

/* Loads a policy and selects it as its string says. Reports errors. */
static void boot_policy(const struct boot_guest *bg)
{
	const struct guest_spec *spec = &bg->spec;
	static struct policy_load load;
	struct policy *p;
	struct cpu_set set;
	int rc;

	load = (struct policy_load){ .file = bg->image, .len = bg->image_size };
	do
		rc = policy_load_step(&load);
	while (rc == -ERESTART);
	if (rc) {
		pr_err("%s: refused (%d):\n  %s\n", spec->label, rc,
		       load.why[0] ? load.why : "no memory");
		return;
	}
	p = policy_last();
	if (spec->nr_pin)
		set = spec->pin;
	else
		cpu_set_fill(&set);
	for (unsigned i = 0; i < NR_POINTS; i++) {
		if (!(spec->points & BIT(i)))
			continue;
		rc = policy_select(i, p, &set);
		if (!rc)
			policy_log_selection(i, p, &set, NULL);
		else if (rc != -EOPNOTSUPP)
			pr_err("policy %s not selected for %s (%d)\n", p->mod.name,
			       policy_point_names[i], rc);
	}
}

/* Reads the allowed list before it loads modules. Selects policies before guests start. */
static void boot_policies(struct boot_guest **policies, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		if (policies[i]->spec.kind == MODULE_ALLOWED)
			policy_allow(policies[i]->image, policies[i]->image_size);
	for (unsigned i = 0; i < n; i++) {
		if (policies[i]->spec.kind == MODULE_POLICY)
			boot_policy(policies[i]);
		kfree(policies[i]);
	}
}

void boot_guests(void)
{
	static struct boot_guest *guests[BOOT_MAX_MODULES], *initrds[BOOT_MAX_MODULES];
	static struct boot_guest *policies[BOOT_MAX_MODULES];
	unsigned n = 0, nr_initrds = 0, nr_policies = 0;

	for (unsigned i = 0; i < boot_info.nr_mods; i++) {
		struct boot_guest *bg;

		if (boot_info.mods[i].bad)
			continue;
		bg = parse_guest(&boot_info.mods[i], i);
		if (!bg)
			continue;
		if (bg->spec.kind == MODULE_INITRD)
			initrds[nr_initrds++] = bg;
		else if (bg->spec.kind == MODULE_GUEST)
			n = add_guest(guests, n, bg);
		else
			policies[nr_policies++] = bg;
	}
	boot_policies(policies, nr_policies);
	for (unsigned i = 0; i < nr_initrds; i++)
		attach_initrd(guests, n, initrds[i]);
	for (unsigned i = 0; i < n; i++)
		boot_guest_add(guests[i]);
	if (!boot_guests_start()) {
		pr_warn("no guest was started: give some as boot modules\n");
		if (opt.when_empty == WHEN_EMPTY_POWEROFF)
			arch_poweroff();
	}
	console_guests_started();
}
