# SPDX-License-Identifier: BSD-2-Clause
# All tests. First those on the build machine: unit tests (cmocka, ASan and UBSan) and fuzzers (libFuzzer). Each file test/unit/test_X.c or test/fuzz/fuzz_X.c becomes one program. It lists the sources to link in a comment line: `unit-sources: FILE...` or `fuzz-sources: FILE...`. Then those that boot emulated machines (test/beds), and the summary.

.PHONY: check check-long check-arrows check-clang check-format format check-scripts check-unit check-fuzz check-fuzz-long unit fuzz
.PHONY: check-scenarios check-scenarios-long check-trace check-oracle check-boot check-boot-long check-faults check-usb check-usb-long check-node
.PHONY: scenarios scenario test-images perf perf-diff perf-baseline

CHECK_PARTS ?= check-format check-arrows check-clang check-scripts check-unit check-fuzz check-v3m docs check-exercises check-scenarios check-faults \
	check-boot check-usb check-oracle
LONG_PARTS ?= check-format check-arrows check-clang check-scripts check-unit check-fuzz-long check-v3m docs check-exercises check-scenarios-long \
	check-trace check-faults check-boot-long check-usb-long check-node check-oracle

HOSTCC ?= gcc
FUZZCC ?= clang
# For a command that a person types to run a test again.
OTHER_O := $(if $(filter-out build,$(O)), O=$(O))
FUZZ_SECONDS ?= 8
FUZZ_SECONDS_LONG ?= 90

UNIT_CFLAGS := -std=gnu11 -g -O1 -include test/unit/unit.h -Iinclude -Itest/unit -fno-omit-frame-pointer \
	-fno-strict-aliasing -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes \
	-Wpointer-arith -Wwrite-strings -Wvla -Wundef -Werror
SANITIZE := -fsanitize=address,undefined -fno-sanitize-recover=all

$(eval $(call flags_file,unit,$(HOSTCC) $(UNIT_CFLAGS) $(SANITIZE)))
$(eval $(call flags_file,fuzz,$(FUZZCC) $(UNIT_CFLAGS) $(SANITIZE)))

UNIT_TESTS := $(patsubst test/unit/test_%.c,%,$(sort $(wildcard test/unit/test_*.c)))
FUZZ_TESTS := $(patsubst test/fuzz/fuzz_%.c,%,$(sort $(wildcard test/fuzz/fuzz_*.c)))

# FILE:SOURCE for each word after `unit-sources:` or `fuzz-sources:` in FILE. One process reads them all.
SOURCES_OF := $(shell awk '/(unit|fuzz)-sources:/ { sub(".*-sources: *", ""); sub("[*]/.*", ""); \
	for (i = 1; i <= NF; i++) print FILENAME ":" $$i }' test/unit/test_*.c test/fuzz/fuzz_*.c)
# $(call objects_of,FILE,KIND): the objects of a program of KIND (unit or fuzz)
objects_of = $(patsubst %,$(O)/$2/obj/%.o,$1 $(patsubst $1:%,%,$(filter $1:%,$(SOURCES_OF))) test/unit/host.c)

# Policy modules in unit tests: each names its description policy_module, which becomes module_NAME
# here.
$(O)/unit/obj/modules/%.c.o: UNIT_DEFS = -Dpolicy_module=module_$(basename $(<F))

# The loader's test reads the built modules.
$(O)/unit/module_real: | $(MODULES) $(TEST_MODULES)
$(O)/unit/obj/test/unit/test_module_real.c.o: UNIT_DEFS = -DMODULES='"$(O)/modules"' \
	-DTEST_MODULES='"$(O)/test/modules"'

$(O)/unit/obj/%.c.o: %.c test/test.mk $(O)/flags/unit
	@mkdir -p $(@D)
	@echo "  UNITCC  $<"
	$(Q)$(HOSTCC) $(UNIT_CFLAGS) $(UNIT_DEFS) $(SANITIZE) -MMD -MP -c -o $@ $<

$(O)/unit/obj/%.asm.o: %.asm test/test.mk $(O)/flags/unit
	@mkdir -p $(@D)
	@echo "  NASM    $<"
	$(Q)$(NASM) -f elf64 -w+all -Werror -o $@ $<

$(O)/fuzz/obj/%.c.o: %.c test/test.mk $(O)/flags/fuzz
	@mkdir -p $(@D)
	@echo "  FUZZCC  $<"
	$(Q)$(FUZZCC) $(UNIT_CFLAGS) $(SANITIZE) -fsanitize=fuzzer-no-link -MMD -MP -c -o $@ $<

UNIT_LIBS_chain := -lzstd -lpthread
UNIT_LIBS_stream := $(UNIT_LIBS_chain)
UNIT_LIBS_disk := $(UNIT_LIBS_chain)

define unit_program
$(O)/unit/$1: $(call objects_of,test/unit/test_$1.c,unit)
	@echo "  UNITLD  $$@"
	$$(Q)$$(HOSTCC) $$(SANITIZE) -o $$@ $$^ -lcmocka $$(UNIT_LIBS_$1)
-include $(patsubst %.o,%.d,$(call objects_of,test/unit/test_$1.c,unit))
endef
$(foreach t,$(UNIT_TESTS),$(eval $(call unit_program,$t)))

define fuzz_program
$(O)/fuzz/$1: $(call objects_of,test/fuzz/fuzz_$1.c,fuzz)
	@echo "  FUZZLD  $$@"
	$$(Q)$$(FUZZCC) $$(SANITIZE) -fsanitize=fuzzer -o $$@ $$^
-include $(patsubst %.o,%.d,$(call objects_of,test/fuzz/fuzz_$1.c,fuzz))
endef
$(foreach t,$(FUZZ_TESTS),$(eval $(call fuzz_program,$t)))

unit: $(UNIT_TESTS:%=$(O)/unit/%)
fuzz: $(FUZZ_TESTS:%=$(O)/fuzz/%)

# The decoder is also compared with objdump, on every form of instruction it accepts.
$(O)/unit/decode_forms: $(patsubst %,$(O)/unit/obj/%.o,test/unit/decode_forms.c arch/x86/guest/decode.c)
	@echo "  UNITLD  $@"
	$(Q)$(HOSTCC) $(SANITIZE) -o $@ $^

check-unit: unit $(O)/unit/decode_forms
	$(Q)failed=0; run() { \
		name=$$1 target=$$2; shift 2; \
		echo "  TEST    $$name"; "$$@" && return; \
		failed=1; echo "FAILED unit test $$name; again: make$(OTHER_O) $$target && $$*"; \
	}; \
	for t in $(UNIT_TESTS); do run $$t $(O)/unit/$$t $(O)/unit/$$t; done; \
	run 'decode against objdump' $(O)/unit/decode_forms \
		test/unit/decode_objdump.py $(O)/unit/decode_forms $(O)/unit; \
	exit $$failed

# A script makes the seeds; test/fuzz/corpus/X holds inputs that once broke the parser X.
$(O)/fuzz/seeds: test/fuzz/mkseeds.py $(MODULES) $(TEST_MODULES)
	$(Q)mkdir -p $(@D)
	$(Q)rm -rf $@ && test/fuzz/mkseeds.py $@ $(MODULES) $(TEST_MODULES)

check-fuzz: fuzz $(O)/fuzz/seeds
	$(Q)test/fuzz/run_all.sh $(O) $(FUZZ_SECONDS) $(FUZZ_TESTS)

check-fuzz-long: fuzz $(O)/fuzz/seeds
	$(Q)test/fuzz/run_all.sh $(O) $(FUZZ_SECONDS_LONG) $(FUZZ_TESTS)

# Fixed work for the bare machine and for guests: test/perf/work.c.
WORK_INITRAMFS := $(O)/guests/initramfs-work.gz

$(O)/tools/work: test/perf/work.c $(O)/flags/tools
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(TOOL_CFLAGS) -s -static -pthread -o $@ $< -lm

$(WORK_INITRAMFS): $(O)/cache/busybox/busybox test/beds/mkinitramfs.sh $(O)/tools/work
	$(Q)test/beds/mkinitramfs.sh $< $@ $(O)/tools/work

# The work of guests with a disk and a network, and their control domain: test/perf/io.c.
IO_INITRAMFS := $(O)/guests/initramfs-io.gz
IO_GUEST_INITRAMFS := $(O)/guests/initramfs-io-guest.gz

$(O)/tools/io: test/perf/io.c $(O)/flags/tools
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(TOOL_CFLAGS) -s -static -o $@ $<

$(IO_GUEST_INITRAMFS): $(O)/cache/busybox/busybox test/beds/mkinitramfs.sh test/beds/initramfs/tests/io \
		$(GUEST_MODULES) $(O)/tools/io
	$(Q)test/beds/mkinitramfs.sh $< $@ $(GUEST_MODULES) $(O)/tools/io

# The same for a guest with devices, and for a bare machine.
IO_DEVICE_INITRAMFS := $(O)/guests/initramfs-io-device.gz
$(IO_DEVICE_INITRAMFS): $(O)/cache/busybox/busybox test/beds/mkinitramfs.sh test/beds/initramfs/tests/io \
		$(DEVICE_MODULES) $(O)/tools/io
	$(Q)test/beds/mkinitramfs.sh $< $@ $(DEVICE_MODULES) $(O)/tools/io

$(IO_INITRAMFS): $(O)/cache/busybox/busybox $(O)/cache/control/root.tar test/beds/mkcontrol.sh test/beds/control/init \
		test/beds/control/tests/io $(XL_MODULES) $(O)/tools/mgctl $(O)/tools/margay-checkpoint $(O)/tools/io \
		$(O)/guests/linux-cloud $(IO_GUEST_INITRAMFS)
	$(Q)test/beds/mkcontrol.sh $< $(O)/cache/control/root.tar $@ $(XL_MODULES) $(O)/tools/mgctl $(O)/tools/margay-checkpoint \
		$(O)/tools/io vmlinux=$(O)/guests/linux-cloud initramfs=$(IO_GUEST_INITRAMFS)

# The same work in a KVM guest.
KVM_INITRAMFS := $(O)/guests/initramfs-kvm.cpio

$(KVM_INITRAMFS): $(O)/cache/busybox/busybox $(O)/guests/linux-generic $(WORK_INITRAMFS) \
		$(patsubst %,$(O)/cache/generic/%.ko,irqbypass ccp kvm kvm-amd) test/perf/mkkvm.sh test/perf/kvm-init.sh
	$(Q)test/perf/mkkvm.sh $(wordlist 1,1,$^) $@ $(wordlist 2,7,$^)

BAD_GUESTS := $(addprefix $(O)/guests/bad-,text cut note class segment microcode)

$(BAD_GUESTS) &: $(O)/guests/hello test/beds/mkbad.py
	$(Q)test/beds/mkbad.py $< $(@D)

check:
	$(Q)O=$(O) $(SETUP)
	+$(Q)O=$(O) MAKE="$(MAKE)" scripts/check.py $(CHECK_PARTS)

check-long:
	$(Q)O=$(O) $(SETUP)
	$(Q)O=$(O) $(SETUP) libvirt node
	+$(Q)O=$(O) MAKE="$(MAKE)" scripts/check.py $(LONG_PARTS)

check-format:
	$(Q)scripts/format.py --check

format:
	$(Q)scripts/format.py

check-arrows: $(O)/margay
	$(Q)scripts/check-arrows.py $(O)/obj

check-clang:
	$(AGAIN) O=$(O)/clang CC=$(FUZZCC) margay

check-scripts: $(O)/tools/bootcheck
	$(Q)python3 -B -m unittest discover -s test/scripts

test-images: $(O)/margay $(O)/tools/bootcheck guests $(LINUX_GUESTS) $(INITRAMFS) $(CONTROL_INITRAMFS) $(DEVICE_INITRAMFS) $(TOPOLOGY_INITRAMFS) \
		$(XL_INITRAMFS) $(VIRT_INITRAMFS) \
		$(BAD_GUESTS) modules test-modules $(O)/modules/allowed

scenarios:
	$(Q)test/beds/run.py --list

scenario:
	$(Q)[ '$(NAME)' ] || { echo "name one: make scenario NAME=hello [BED=qemu]; make scenarios lists them" >&2; exit 1; }
	$(Q)O=$(O) $(SETUP) build
	$(Q)sets=$$(test/beds/run.py --needs $(BED:%=--bed %) '$(NAME)') && O=$(O) $(SETUP) build run $$sets
	$(AGAIN) test-images
	$(Q)O=$(O) test/beds/run.py $(BED:%=--bed %) '$(NAME)'

check-scenarios: test-images
	$(Q)O=$(O) test/beds/run.py --no-oracle

check-scenarios-long: test-images
	$(Q)O=$(O) test/beds/run.py --no-oracle --long

# The scenarios that check-scenarios runs on QEMU, with full tracing: the verdicts must be the same.
check-trace: test-images
	$(Q)O=$(O) test/beds/run.py --bed qemu --traced

check-oracle: guests
	$(Q)O=$(O) test/beds/run.py --bed oracle

check-boot: test-images
	$(Q)O=$(O) test/beds/bootmatrix.py

check-boot-long: test-images
	$(Q)O=$(O) test/beds/bootmatrix.py --all

check-usb: $(O)/margay guests
	$(Q)O=$(O) test/beds/usb.py

check-usb-long: $(O)/margay guests
	$(Q)O=$(O) test/beds/usb.py --all

check-node:
	$(Q)O=$(O) $(SETUP) build run control check node
	$(AGAIN) $(NODE)/margay-node.img
	$(Q)O=$(O) test/beds/node.py

check-faults: $(O)/margay guests
	$(Q)O=$(O) test/beds/faults.py

# The emulator plugin that counts instructions beside a hypervisor: test/perf/count.c.
COUNT_PLUGIN := $(O)/tools/count.so

$(COUNT_PLUGIN): test/perf/count.c $(O)/flags/tools
	$(Q)mkdir -p $(@D)
	$(Q)$(HOSTCC) $(TOOL_CFLAGS) -fPIC -shared -fvisibility=hidden -o $@ $<

# The longest times with interrupts off. Only a debug build measures them.
.PHONY: hold-times
hold-times:
	$(AGAIN) O=$(O)/debug DEBUG=1 margay
	$(AGAIN) test-images
	$(Q)O=$(O) scripts/hold_times.py

perf perf-diff perf-baseline:
	$(Q)O=$(O) $(SETUP) build run check
	$(AGAIN) test-images $(WORK_INITRAMFS) $(IO_INITRAMFS) $(IO_DEVICE_INITRAMFS) $(COUNT_PLUGIN) $(if $(filter perf,$@),$(KVM_INITRAMFS))
	$(Q)O=$(O) scripts/perf.py $(patsubst perf-%,--%,$(filter-out perf,$@))
	$(if $(filter perf,$@),$(AGAIN) hold-times)
