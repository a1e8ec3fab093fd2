# SPDX-License-Identifier: BSD-2-Clause
#
# Set-up and running, included by the top Makefile, which defines O and Q and builds $(O)/margay.
# Targets that need packages call the set-up script first and then make again, since a fresh machine
# has no compiler when make reads this file.

SETUP ?= scripts/setup
ACCEL ?= tcg
CPUS ?= 4
MEM ?= 2048
# More options of Margay for `make run`. Its second serial line is for scripts/send.
OPTIONS ?=
RUN_OPTIONS = console=com1,com2,vga $(OPTIONS)
RUN_ISO := $(O)/margay.iso
USB_IMAGE := $(O)/margay-usb.img
LINUX_GUESTS := $(O)/guests/linux-cloud $(O)/guests/linux-generic
INITRAMFS := $(O)/guests/initramfs.gz
# The same with the files that a control domain needs.
CONTROL_INITRAMFS := $(O)/guests/initramfs-control.gz
GUEST_KOS := $(O)/cache/cloud/xen-privcmd.ko $(O)/cache/cloud/xen-evtchn.ko
CONTROL_FILES = $(O)/tools/mgctl $(O)/tools/guestcheck $(O)/tools/clockcheck $(MODULES) $(TEST_MODULES) $(GUEST_KOS) \
	$(wildcard $(O)/cache/generic/xen-privcmd.ko)
# What `xl create` starts: a Linux with front-ends of disks and networks, and guests of our own.
GUEST_INITRAMFS := $(O)/guests/initramfs-guest.gz
GUEST_MODULES := $(patsubst %,$(O)/cache/cloud/%.ko,xen-blkfront xen-netfront)
# The control domain that runs Xen's tools: its modules, and its guests.
XL_INITRAMFS := $(O)/guests/initramfs-xl.gz
XL_MODULES := $(patsubst %,$(O)/cache/generic/%.ko,xen-privcmd xen-evtchn xen-gntdev xen-gntalloc xenfs \
	xen-blkback xen-netback llc stp bridge loop brd dm-mod crc16 crc32c_generic mbcache jbd2 ext4)
XL_GUESTS := $(patsubst %,$(O)/guests/%,hello neighbour hostile_die hostile_front) \
	$(O)/cache/pvgrub/grub-i386-xen_pvh.bin
# The same with libvirt, where `scripts/setup libvirt` has fetched it: long scenarios need it.
VIRT_INITRAMFS := $(if $(wildcard $(O)/cache/libvirt/root.tar),$(O)/guests/initramfs-virt.gz)
AGAIN = +$(Q)$(MAKE) --no-print-directory

CONTROL_ISO := $(O)/margay-control.iso
# `make control LIBVIRT=yes` has libvirt, too.
LIBVIRT ?=
CONTROL_INITRD := $(if $(LIBVIRT),$(O)/guests/initramfs-virt.gz,$(XL_INITRAMFS))
CONTROL_MODULES := \
	--module '$(O)/guests/linux-generic=guest name=control vcpus=1 mem=$(if $(LIBVIRT),1024M,768M) initial on_crash=restart -- console=hvc0 quiet' \
	--module '$(CONTROL_INITRD)=initrd for=control' \
	--module '$(O)/guests/neighbour=guest name=neighbour vcpus=1 mem=32M'

.PHONY: setup iso run control usb debug FORCE

# For targets that start a machine, before anything is built.
positive = $(shell [ '$1' -gt 0 ] 2>/dev/null && echo yes)
CHECK_MACHINE = $(if $(call positive,$(CPUS)),,$(error CPUS='$(CPUS)' is not a number of CPUs such as 4)) \
	$(if $(call positive,$(MEM)),,$(error MEM='$(MEM)' is not a number of MiB such as 2048)) \
	$(if $(filter tcg kvm,$(ACCEL)),,$(error ACCEL='$(ACCEL)' is neither tcg nor kvm))

setup:
	$(Q)O=$(O) $(SETUP)

# Files that set-up downloads: if one is missing it is an error here, not a reason to download it.
$(O)/cache/%/vmlinuz $(O)/cache/%/busybox $(O)/cache/%.ko $(O)/cache/%/root.tar $(O)/cache/%.bin:
	$(Q)echo "$@ is not there: run 'make setup'" >&2; exit 1

$(O)/guests/linux-%: $(O)/cache/%/vmlinuz tools/image/extract-elf
	$(Q)mkdir -p $(@D)
	@echo "  ELF     $@"
	$(Q)tools/image/extract-elf $< $@

$(INITRAMFS): $(O)/cache/busybox/busybox test/beds/mkinitramfs.sh test/beds/initramfs/init \
		$(wildcard test/beds/initramfs/tests/*)
	$(Q)mkdir -p $(@D)
	@echo "  INITRD  $@"
	$(Q)test/beds/mkinitramfs.sh $< $@

$(CONTROL_INITRAMFS): $(O)/cache/busybox/busybox test/beds/mkinitramfs.sh test/beds/initramfs/init \
		$(wildcard test/beds/initramfs/tests/*) $(CONTROL_FILES)
	$(Q)mkdir -p $(@D)
	@echo "  INITRD  $@"
	$(Q)test/beds/mkinitramfs.sh $< $@ $(CONTROL_FILES)

$(GUEST_INITRAMFS): $(O)/cache/busybox/busybox test/beds/mkinitramfs.sh test/beds/initramfs/init \
		$(wildcard test/beds/initramfs/tests/*) $(GUEST_MODULES)
	$(Q)mkdir -p $(@D)
	@echo "  INITRD  $@"
	$(Q)test/beds/mkinitramfs.sh $< $@ $(GUEST_MODULES)

$(XL_INITRAMFS): $(O)/cache/control/root.tar
$(O)/guests/initramfs-virt.gz: $(O)/cache/libvirt/root.tar
$(XL_INITRAMFS) $(O)/guests/initramfs-virt.gz: $(O)/cache/busybox/busybox test/beds/mkcontrol.sh test/beds/control/init \
		$(wildcard test/beds/control/tests/*) $(XL_MODULES) $(XL_GUESTS) $(O)/tools/mgctl \
		$(O)/cache/cloud/vmlinuz $(GUEST_INITRAMFS)
	$(Q)mkdir -p $(@D)
	@echo "  INITRD  $@"
	$(Q)test/beds/mkcontrol.sh $(O)/cache/busybox/busybox $(filter %/root.tar,$^) $@ $(XL_MODULES) $(XL_GUESTS) \
		$(O)/tools/mgctl linux=$(O)/cache/cloud/vmlinuz initramfs=$(GUEST_INITRAMFS)

# The demonstration: a stock Debian kernel, which gets the input and the control privilege, and a
# guest of our own that stays. The scenario linux-demo is the same.
RUN_MODULES := \
	--module '$(O)/guests/linux-cloud=guest name=linux vcpus=2 mem=512M control -- console=hvc0 quiet margay.control' \
	--module '$(CONTROL_INITRAMFS)=initrd for=linux' \
	--module '$(O)/guests/neighbour=guest name=neighbour vcpus=1 mem=32M'

$(RUN_ISO): $(O)/margay $(O)/guests/neighbour $(O)/guests/linux-cloud $(CONTROL_INITRAMFS) $(O)/tools/bootcheck \
		scripts/mkimage FORCE
	@echo "  IMAGE   $@"
	$(Q)O=$(abspath $(O)) scripts/mkimage --cache $(O)/cache/grub -o $@ --options '$(RUN_OPTIONS)' $(RUN_MODULES) $<

$(USB_IMAGE): $(O)/margay guests scripts/mkimage scripts/mkusb.py test/scenarios.list FORCE
	@echo "  IMAGE   $@"
	$(Q)O=$(O) scripts/mkusb.py -o $@ $<

FORCE:

iso:
	$(Q)O=$(O) $(SETUP) build run
	$(AGAIN) $(RUN_ISO)

run:
	$(CHECK_MACHINE)
	$(Q)O=$(O) $(SETUP) build run
	$(AGAIN) $(RUN_ISO)
	$(Q)O=$(O) scripts/qemu --cpus $(CPUS) --mem $(MEM) --accel $(ACCEL) $(RUN_ISO)

$(CONTROL_ISO): $(O)/margay $(O)/guests/neighbour $(O)/guests/linux-generic $(CONTROL_INITRD) $(O)/tools/bootcheck \
		scripts/mkimage FORCE
	@echo "  IMAGE   $@"
	$(Q)O=$(abspath $(O)) scripts/mkimage --cache $(O)/cache/grub -o $@ --options '$(RUN_OPTIONS)' $(CONTROL_MODULES) $<

# A control domain with Xen's own tools, on the terminal.
control:
	$(CHECK_MACHINE)
	$(Q)O=$(O) $(SETUP) build run control $(if $(LIBVIRT),libvirt)
	$(AGAIN) $(CONTROL_ISO)
	$(Q)O=$(O) scripts/qemu --cpus $(CPUS) --mem $(MEM) --accel $(ACCEL) $(CONTROL_ISO)

usb:
	$(Q)O=$(O) $(SETUP) build run
	$(AGAIN) $(USB_IMAGE)
	@echo "$(USB_IMAGE) is for a USB drive, of which it takes the whole:"
	@echo "    sudo dd if=$(USB_IMAGE) of=/dev/sdX bs=4M conv=fsync"
	@echo "Boot a PC or server from it: by BIOS, or by UEFI without Secure Boot, with AMD-V"
	@echo "or VT-x enabled. The tests take some minutes. Then send us REPORT.TXT from the"
	@echo "drive. Documentation/usb.rst says more."

debug:
	$(CHECK_MACHINE)
	$(Q)O=$(O) $(SETUP) build run debug
	$(AGAIN) $(RUN_ISO)
	$(Q)O=$(O) scripts/qemu --cpus $(CPUS) --mem $(MEM) --debug $(O)/margay $(RUN_ISO)
