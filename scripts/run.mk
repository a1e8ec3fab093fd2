# SPDX-License-Identifier: BSD-2-Clause
#
# Set-up, running and checking; included by the top Makefile, which defines O, Q and builds
# $(O)/margay. Targets that need packages call the set-up script first, and then make again, for a
# fresh machine has no compiler at the time this is read.

SETUP ?= scripts/setup
ACCEL ?= tcg
CPUS ?= 4
MEM ?= 2048
# More of Margay's own options for `make run`.
OPTIONS ?=
RUN_ISO := $(O)/margay.iso
LINUX_GUESTS := $(O)/guests/linux-cloud $(O)/guests/linux-generic
INITRAMFS := $(O)/guests/initramfs.gz
# The same with what a control domain needs.
CONTROL_INITRAMFS := $(O)/guests/initramfs-control.gz
GUEST_KOS := $(O)/cache/cloud/xen-privcmd.ko $(O)/cache/cloud/xen-evtchn.ko
CONTROL_FILES = $(O)/tools/mgctl $(O)/tools/guestcheck $(MODULES) $(TEST_MODULES) $(GUEST_KOS) \
	$(wildcard $(O)/cache/generic/xen-privcmd.ko)
CHECK_PARTS ?= check-format check-arrows check-host check-unit check-fuzz docs check-exercises check-guests check-faults \
	check-boot check-oracle
LONG_PARTS ?= check-format check-arrows check-host check-unit check-fuzz-long docs check-exercises check-guests-long \
	check-trace check-faults check-boot-long check-oracle
AGAIN = +$(Q)$(MAKE) --no-print-directory

.PHONY: setup iso run debug check check-long check-arrows check-format format check-host check-guests \
	check-guests-long check-trace check-oracle check-boot check-boot-long check-faults perf perf-diff perf-baseline test-images FORCE

setup:
	$(Q)O=$(O) $(SETUP)

# What set-up fetched: its absence is an error here, not a reason to fetch.
$(O)/cache/%/vmlinuz $(O)/cache/%/busybox $(O)/cache/%.ko:
	$(Q)echo "$@ is not there: run 'make setup'" >&2; exit 1

$(O)/guests/linux-%: $(O)/cache/%/vmlinuz tools/host/extract-elf
	$(Q)mkdir -p $(@D)
	$(Q)tools/host/extract-elf $< $@

$(INITRAMFS): $(O)/cache/busybox/busybox test/guest/mkinitramfs test/guest/initramfs/init \
		$(wildcard test/guest/initramfs/tests/*)
	$(Q)mkdir -p $(@D)
	$(Q)test/guest/mkinitramfs $< $@

$(CONTROL_INITRAMFS): $(O)/cache/busybox/busybox test/guest/mkinitramfs test/guest/initramfs/init \
		$(wildcard test/guest/initramfs/tests/*) $(CONTROL_FILES)
	$(Q)mkdir -p $(@D)
	$(Q)test/guest/mkinitramfs $< $@ $(CONTROL_FILES)

# Fixed work, to be done on the bare machine and in guests: test/perf/work.c.
WORK_INITRAMFS := $(O)/guests/initramfs-work.gz

$(O)/tools/work: test/perf/work.c
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(TOOL_CFLAGS) -s -static -pthread -o $@ $<

$(WORK_INITRAMFS): $(O)/cache/busybox/busybox test/guest/mkinitramfs $(O)/tools/work
	$(Q)test/guest/mkinitramfs $< $@ $(O)/tools/work

# The same work as a guest of KVM's.
KVM_INITRAMFS := $(O)/guests/initramfs-kvm.cpio

$(KVM_INITRAMFS): $(O)/cache/busybox/busybox $(O)/guests/linux-generic $(WORK_INITRAMFS) \
		$(patsubst %,$(O)/cache/generic/%.ko,irqbypass ccp kvm kvm-amd) test/perf/mkkvm test/perf/kvm-init
	$(Q)test/perf/mkkvm $(wordlist 1,1,$^) $@ $(wordlist 2,7,$^)

BAD_GUESTS := $(addprefix $(O)/guests/bad-,text cut note class segment)

$(BAD_GUESTS) &: $(O)/guests/hello test/guest/mkbad
	$(Q)test/guest/mkbad $< $(@D)

# The demonstration: a stock Debian kernel, which has the input and the control privilege, and our
# hello guest.
RUN_MODULES := \
	--module '$(O)/guests/linux-cloud=guest name=linux vcpus=2 mem=512M control -- console=hvc0 margay.control' \
	--module '$(CONTROL_INITRAMFS)=initrd for=linux' \
	--module '$(O)/guests/hello=guest name=hello vcpus=1 mem=32M'

$(RUN_ISO): $(O)/margay $(O)/guests/hello $(O)/guests/linux-cloud $(CONTROL_INITRAMFS) scripts/mkimage FORCE
	$(Q)scripts/mkimage --cache $(O)/cache/grub -o $@ --options '$(OPTIONS)' $(RUN_MODULES) $<

FORCE:

iso:
	$(Q)O=$(O) $(SETUP) build run
	$(AGAIN) $(RUN_ISO)

run:
	$(Q)O=$(O) $(SETUP) build run
	$(AGAIN) $(RUN_ISO)
	$(Q)O=$(O) scripts/qemu --cpus $(CPUS) --mem $(MEM) --accel $(ACCEL) $(RUN_ISO)

debug:
	$(Q)O=$(O) $(SETUP) build run debug
	$(AGAIN) $(RUN_ISO)
	$(Q)O=$(O) scripts/qemu --cpus $(CPUS) --mem $(MEM) --debug $(O)/margay $(RUN_ISO)

check:
	$(Q)O=$(O) $(SETUP)
	+$(Q)O=$(O) MAKE="$(MAKE)" scripts/check $(CHECK_PARTS)

check-long:
	$(Q)O=$(O) $(SETUP)
	+$(Q)O=$(O) MAKE="$(MAKE)" scripts/check $(LONG_PARTS)

check-format:
	$(Q)scripts/format --check

format:
	$(Q)scripts/format

check-arrows: $(O)/margay
	$(Q)scripts/check-arrows.py $(O)/obj

check-host:
	$(Q)python3 -B -m unittest discover -s test/host

test-images: $(O)/margay guests $(LINUX_GUESTS) $(INITRAMFS) $(CONTROL_INITRAMFS) $(BAD_GUESTS) \
		modules test-modules $(O)/modules/allowed

check-guests: test-images
	$(Q)O=$(O) test/guest/run --no-oracle

check-guests-long: test-images
	$(Q)O=$(O) test/guest/run --no-oracle --long

# What check-guests runs on QEMU, with all that Margay does recorded: the verdicts must be the same.
check-trace: test-images
	$(Q)O=$(O) test/guest/run --bed qemu --traced

check-oracle: guests
	$(Q)O=$(O) test/guest/run --bed oracle

check-boot: test-images
	$(Q)O=$(O) test/guest/bootmatrix

check-boot-long: test-images
	$(Q)O=$(O) test/guest/bootmatrix --all

check-faults: $(O)/margay guests
	$(Q)O=$(O) test/guest/faults

# What runs in the emulator beside a hypervisor, and counts: test/perf/count.c.
COUNT_PLUGIN := $(O)/tools/count.so

$(COUNT_PLUGIN): test/perf/count.c
	$(Q)mkdir -p $(@D)
	$(Q)$(HOSTCC) $(TOOL_CFLAGS) -fPIC -shared -fvisibility=hidden -o $@ $<

perf perf-diff perf-baseline:
	$(Q)O=$(O) $(SETUP) build run check
	$(AGAIN) test-images $(WORK_INITRAMFS) $(if $(filter perf,$@),$(KVM_INITRAMFS) $(COUNT_PLUGIN))
	$(Q)O=$(O) scripts/perf $(patsubst perf-%,--%,$(filter-out perf,$@))
