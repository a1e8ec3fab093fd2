# SPDX-License-Identifier: BSD-2-Clause
# The whole build, in one non-recursive make. `make help` lists the targets; V=1 shows commands;
# O=DIR builds in DIR.

O ?= build
$(if $(word 2,$(O)),$(error O='$(O)' has a space in it, which make cannot work with: give O another path))
# O may be mistyped, so a new directory is worth a line.
empty :=
$(if $(wildcard $(O))$(filter help clean scenarios,$(MAKECMDGOALS)),,$(info $(empty)  MKDIR   $(O)))
V ?= 0
DEBUG ?= 0
CROSS_COMPILE ?=
Q := $(if $(filter 1,$(V)),,@)

CC := $(CROSS_COMPILE)gcc
LD := $(CROSS_COMPILE)ld
NM := $(CROSS_COMPILE)nm
OBJCOPY := $(CROSS_COMPILE)objcopy
NASM ?= nasm

.DEFAULT_GOAL := all
.SUFFIXES:
.DELETE_ON_ERROR:
.PHONY: all margay clean size help

WARN := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wpointer-arith \
	-Wwrite-strings -Wvla -Wundef -Wold-style-definition -Wmissing-declarations -Werror
GCCINC := $(shell $(CC) -print-file-name=include 2>/dev/null)
CFLAGS := -std=gnu11 -O2 -g -ffreestanding -nostdinc -isystem $(GCCINC) -isystem $(O)/inc -Iinclude \
	-m64 -mno-red-zone -mgeneral-regs-only -mcmodel=kernel -fno-pic -fno-pie \
	-fno-asynchronous-unwind-tables -fno-strict-aliasing -fno-common -fno-omit-frame-pointer -momit-leaf-frame-pointer \
	-fno-delete-null-pointer-checks -fcf-protection=none -ffunction-sections -fdata-sections \
	-fstack-protector-strong -mstack-protector-guard=global -mno-sse -fno-tree-vectorize \
	-falign-functions=16 $(WARN) $(if $(filter 1,$(DEBUG)),-DDEBUG)
# thunks.asm; a jump through a table and a thunk costs less than a tree of comparisons.
GCC_THUNKS := -mindirect-branch=thunk-extern -mindirect-branch-register -fjump-tables
CFLAGS += $(if $(findstring clang,$(CC)),-mretpoline -mretpoline-external-thunk,$(GCC_THUNKS))
NASMFLAGS := -f elf64 -g -F dwarf -w+all -Werror -I include/

DIRS := $(addprefix arch/x86/,boot cpu mm lib platform sandbox guest svm vmx) \
	common common/boot common/domain common/policy hypercall iommu drivers/acpi drivers/pci
SRCS_C := $(sort $(wildcard $(addsuffix /*.c,$(DIRS))))
SRCS_S := $(sort $(wildcard $(addsuffix /*.asm,$(DIRS))))
FONT ?= /usr/share/grub/ascii.pf2
OBJS := $(SRCS_S:%.asm=$(O)/obj/%.asm.o) $(SRCS_C:%.c=$(O)/obj/%.o) $(O)/obj/font.o
LDS := arch/x86/boot/margay.lds
# Only newer versions of GNU ld have this warning, and only they know the option.
LDQUIET := $(if $(findstring no-warn-rwx-segments,$(shell $(LD) --help 2>/dev/null)),--no-warn-rwx-segments)
LDFLAGS := -nostdlib -z max-page-size=0x1000 -z noexecstack $(LDQUIET) --gc-sections \
	--build-id=sha1 -T $(LDS)

# $(call need,PROGRAM): a command that ends the recipe if the program is not there.
need = command -v $1 >/dev/null || { echo "$1 is missing: $(or $(set_of_$1:%=run scripts/setup %),$(misnamed))" >&2; exit 1; };
misnamed := is its name right? (CC=, CROSS_COMPILE=)
$(foreach t,gcc ld nasm python3,$(eval set_of_$t := build))
set_of_clang := check

# $(eval $(call flags_file,NAME,WORDS)): $(O)/flags/NAME is as new as the last change of these words. What is made
# with them depends on it. The output directory counts as O, since the exercises copy objects to another one.
flags_text = $(strip $(subst $(O)/,O/,$1))
equal = $(and $(findstring <$1>,<$2>),$(findstring <$2>,<$1>))
define flags_file
$(O)/flags/$1: $(if $(call equal,$(call flags_text,$2),$(strip $(file <$(O)/flags/$1))),,FORCE)
	@$(call need,$(firstword $2))
	@mkdir -p $$(@D)
	@printf '%s\n' '$(subst ','\'',$(subst $$,$$$$,$(call flags_text,$2)))' >$$@
endef
$(eval $(call flags_file,margay,$(CC) $(CFLAGS) $(NASM) $(NASMFLAGS)))
$(eval $(call flags_file,link,$(LD) $(LDFLAGS) $(NM)))

all: margay guests $(O)/tools/bootcheck

margay: $(O)/margay

$(O)/inc/xen:
	$(Q)$(foreach t,$(firstword $(CC)) $(firstword $(LD)) $(NASM) python3,$(call need,$t))
	$(Q)mkdir -p $(@D)
	$(Q)test -e /usr/include/xen/xen.h || { echo "Xen's public headers are missing: run scripts/setup build" >&2; exit 1; }
	$(Q)ln -sfn /usr/include/xen $@

$(O)/obj/%.o: %.c Makefile $(O)/flags/margay | $(O)/inc/xen
	@mkdir -p $(@D)
	@echo "  CC      $<"
	$(Q)$(CC) $(CFLAGS) -MMD -MP -c -o $@ $<

$(O)/obj/%.asm.o: %.asm Makefile $(O)/flags/margay | $(O)/inc/xen
	@mkdir -p $(@D)
	@echo "  NASM    $<"
	$(Q)$(NASM) $(NASMFLAGS) -MD $(@:.o=.d) -MQ $@ -o $@ $<

$(O)/obj/font.o: scripts/mkfont.py $(wildcard $(FONT)) $(O)/flags/margay
	@mkdir -p $(@D)
	@echo "  FONT    $(FONT)"
	$(Q)test -e $(FONT) || { echo "The font $(FONT) is missing: run scripts/setup build" >&2; exit 1; }
	$(Q)scripts/mkfont.py $(FONT) >$(@:.o=.S)
	$(Q)$(CC) -c -o $@ $(@:.o=.S)

# Linked twice: the second link includes the symbol table for the names in panics.
$(O)/margay: $(OBJS) $(LDS) scripts/mksyms.py $(O)/flags/link
	@echo "  LD      $@"
	$(Q)scripts/mksyms.py </dev/null >$(O)/obj/syms0.S
	$(Q)$(CC) -c -o $(O)/obj/syms0.o $(O)/obj/syms0.S
	$(Q)$(LD) $(LDFLAGS) -o $@.tmp $(OBJS) $(O)/obj/syms0.o
	$(Q)$(NM) -n $@.tmp | scripts/mksyms.py >$(O)/obj/syms.S
	$(Q)$(CC) -c -o $(O)/obj/syms.o $(O)/obj/syms.S
	$(Q)$(LD) $(LDFLAGS) -Map=$(O)/margay.map -o $@ $(OBJS) $(O)/obj/syms.o
	$(Q)rm -f $@.tmp

# The version, for common/version.c and mgctl. The file changes when the version does.
$(O)/inc/margay-build.h: FORCE
	$(Q)scripts/version --header $@
$(O)/obj/common/version.o: $(O)/inc/margay-build.h

-include $(OBJS:.o=.d)
-include modules/modules.mk guests/guests.mk tools/tools.mk scripts/run.mk test/test.mk Documentation/docs.mk scripts/install.mk

# What issue 14 counts: IOMMUs, PCI and IO-APICs
DEVICES := $(wildcard iommu) drivers/pci drivers/acpi/mcfg.c hypercall/pci.c common/passthrough.c \
	$(addprefix arch/x86/platform/,ioapic.c pci.c) \
	$(addprefix arch/x86/guest/,vioapic.c vmsi.c vpci.c vpci_bar.c vpci.h vport.c vsriov.c posting.c) \
	$(addprefix include/margay/,iommu.h pci.h pci_regs.h) $(addprefix include/x86/,posting.h vioapic.h vpci.h)

size:
	@command -v cloc >/dev/null || { echo "cloc is missing: run scripts/setup check" >&2; exit 1; }
	@cloc --quiet --include-lang=C,"C/C++ Header",Assembly --force-lang=Assembly,asm --force-lang=Assembly,inc --force-lang="C/C++ Header",def \
		arch common drivers hypercall $(wildcard iommu) include
	@echo 'Of these the devices: IOMMUs, PCI, IO-APICs'
	@cloc --quiet --by-file $(DEVICES)

clean:
	rm -rf $(filter-out $(O)/cache,$(wildcard $(O)/*))

help:
	@echo 'make              build Margay and the guests of its own into $(O)/'
	@echo 'make run          boot it in QEMU with a control domain, Debian and its xl;'
	@echo '                  console on the terminal; its variables:'
	@echo '                  CPUS=4, MEM=2048 in MiB, OPTIONS= of Margay,'
	@echo '                  ACCEL=kvm for nested KVM'
	@echo 'make debug        run, stopped, with gdb'
	@echo 'make iso          the image that run boots'
	@echo 'make node         a node to install: a disk image and a directory to boot over a'
	@echo '                  network, with a Debian as the control domain; NODE_KEYS=FILE:'
	@echo '                  ssh keys that may log in, NODE_MEM=2G'
	@echo 'make usb          an image that tests a real machine and stores a report'
	@echo 'make setup        install what the other targets need (Debian); they do it too'
	@echo
	@echo 'make margay       the hypervisor; guests: the guests of its own'
	@echo 'make modules      the policy modules'
	@echo 'make tools        what a control domain uses: mgctl, in $(O)/tools'
	@echo 'make v3m          libv3m and v2m, machines by profile; install-v3m installs them'
	@echo 'make docs         the book, in $(O)/docs; man: the manual pages, in $(O)/man'
	@echo 'make install      all of this but the book, for GRUB and the shell, under'
	@echo '                  PREFIX=/usr/local, SYSCONFDIR=/etc and BOOTDIR=/boot,'
	@echo '                  each behind DESTDIR='
	@echo 'make install-headers  only what policy modules are built with'
	@echo
	@echo 'make check        all quick tests, as CI runs them; check-long: the others too.'
	@echo '                  PATIENCE=4: time limits four times as long'
	@echo 'make check-unit   one part alone; also check-format, -arrows, -clang, -scripts,'
	@echo '                  -fuzz, -v3m, -exercises, -scenarios, -trace, -faults, -boot,'
	@echo '                  -usb, -oracle, -node, -fuzz-long, -scenarios-long,'
	@echo '                  -boot-long, -usb-long'
	@echo 'make scenarios    list the scenarios; make scenario NAME=x [BED=y] runs one'
	@echo 'make unit         build the unit tests; fuzz: the fuzzers;'
	@echo '                  test-images, test-modules: what the scenarios boot'
	@echo 'make format       bring the C files into style'
	@echo 'make perf         instruction counts under -icount; perf-diff: what changed;'
	@echo '                  perf-baseline: store them to compare with'
	@echo 'make hold-times   longest times with interrupts off, by a debug build'
	@echo 'make size         lines of code'
	@echo 'make clean        remove all but the downloads from $(O)/'
	@echo
	@echo 'Variables of all: O=DIR V=1 DEBUG=1 CC= CROSS_COMPILE='
