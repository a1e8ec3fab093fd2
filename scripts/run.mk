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
# A guest that owns devices, with a kernel that has their drivers as modules.
DEVICE_INITRAMFS := $(O)/guests/initramfs-device.gz
DEVICE_MODULES := $(patsubst %,$(O)/cache/generic/%.ko,crc64 crc64_rocksoft_generic crc64-rocksoft \
	crct10dif_common crct10dif_generic crc-t10dif t10-pi nvme-core nvme e1000e)
# A guest that looks at its CPUs and its memory.
TOPOLOGY_INITRAMFS := $(O)/guests/initramfs-topology.gz
# The control domain that runs Xen's tools: its modules, its guests, and Margay's tool and policies.
XL_INITRAMFS := $(O)/guests/initramfs-xl.gz
XL_MODULES := $(patsubst %,$(O)/cache/generic/%.ko,xen-privcmd xen-evtchn xen-gntdev xen-gntalloc xenfs \
	xen-blkback xen-netback llc stp bridge loop brd dm-mod dm-bufio dm-bio-prison libcrc32c dm-persistent-data \
	dm-thin-pool crc16 crc32c_generic mbcache jbd2 ext4 \
	crct10dif_common crct10dif_generic crc-t10dif crc64 crc64_rocksoft_generic crc64-rocksoft t10-pi nvme-core nvme \
	scsi_common scsi_mod sd_mod libata ata_piix e1000e)
XL_GUESTS := $(patsubst %,$(O)/guests/%,hello neighbour hostile_die hostile_front) \
	$(O)/cache/pvgrub/grub-i386-xen_pvh.bin
# The same with libvirt, where `scripts/setup libvirt` has fetched it: long scenarios need it.
VIRT_INITRAMFS := $(if $(wildcard $(O)/cache/libvirt/root.tar),$(O)/guests/initramfs-virt.gz)
XL_TOOLS := $(patsubst %,$(O)/tools/%,mgctl margay-checkpoint guestcheck clockcheck nvmecheck savecheck dbcheck)
# `make run LIBVIRT=yes` has libvirt, too.
LIBVIRT ?=
RUN_INITRD := $(if $(LIBVIRT),$(O)/guests/initramfs-virt.gz,$(XL_INITRAMFS))
AGAIN = +$(Q)$(MAKE) --no-print-directory

.PHONY: setup iso run node usb debug FORCE

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

INITRAMFS_NEEDS := $(O)/cache/busybox/busybox test/beds/mkinitramfs.sh test/beds/initramfs/init \
	$(wildcard test/beds/initramfs/tests/*)
$(INITRAMFS) $(CONTROL_INITRAMFS): $(O)/tools/quietcheck
$(CONTROL_INITRAMFS): $(CONTROL_FILES)
$(GUEST_INITRAMFS): $(GUEST_MODULES) $(O)/tools/savecheck $(O)/tools/dbcheck
$(DEVICE_INITRAMFS): $(DEVICE_MODULES)
$(TOPOLOGY_INITRAMFS): $(O)/cache/topology/root.tar
$(INITRAMFS) $(CONTROL_INITRAMFS) $(GUEST_INITRAMFS) $(DEVICE_INITRAMFS) $(TOPOLOGY_INITRAMFS): $(INITRAMFS_NEEDS)
	$(Q)mkdir -p $(@D)
	@echo "  INITRD  $@"
	$(Q)test/beds/mkinitramfs.sh $(O)/cache/busybox/busybox $@ $(filter-out $(INITRAMFS_NEEDS),$^)

$(XL_INITRAMFS): $(O)/cache/control/root.tar
$(O)/guests/initramfs-virt.gz: $(O)/cache/libvirt/root.tar
$(XL_INITRAMFS) $(O)/guests/initramfs-virt.gz: $(O)/cache/busybox/busybox test/beds/mkcontrol.sh test/beds/control/init \
		$(wildcard test/beds/control/tests/* scripts/node/root/etc/xen/*) $(XL_MODULES) $(XL_GUESTS) $(XL_TOOLS) $(MODULES) \
		$(O)/cache/cloud/vmlinuz $(GUEST_INITRAMFS)
	$(Q)mkdir -p $(@D)
	@echo "  INITRD  $@"
	$(Q)test/beds/mkcontrol.sh $(O)/cache/busybox/busybox $(filter %/root.tar,$^) $@ $(XL_MODULES) $(XL_GUESTS) \
		$(XL_TOOLS) $(MODULES) linux=$(O)/cache/cloud/vmlinuz initramfs=$(GUEST_INITRAMFS)

# What `make run` boots: a control domain, Debian's kernel with Xen's tools, which gets the input, and
# a guest of our own that stays. The scenarios xl-shell and linux-demo are the same.
RUN_MODULES := \
	--module '$(O)/guests/linux-generic=guest name=dom0 vcpus=2 mem=$(if $(LIBVIRT),1024M,768M) initial on_crash=restart -- console=hvc0 quiet' \
	--module '$(RUN_INITRD)=initrd for=dom0' \
	--module '$(O)/guests/neighbour=guest name=neighbour vcpus=1 mem=32M'

$(RUN_ISO): $(O)/margay $(O)/guests/neighbour $(O)/guests/linux-generic $(RUN_INITRD) $(O)/tools/bootcheck \
		scripts/mkimage FORCE
	@echo "  IMAGE   $@"
	$(Q)O=$(abspath $(O)) scripts/mkimage --cache $(O)/cache/grub -o $@ --options '$(RUN_OPTIONS)' $(RUN_MODULES) $<

# A node to install: its control domain is a whole Debian, and the image has nothing of this machine.
# NODE_KEYS is a file of ssh keys that may log in; NODE_MEM the control domain's memory, which
# has its root, too. The test of the node is test/beds/node.py.
NODE_KEYS ?=
NODE_MEM ?= 2G
NODE_OPTIONS ?= console=com1,vga when_empty=poweroff
NODE := $(O)/node
$(eval $(call flags_file,node,echo $(NODE_KEYS) $(NODE_MEM) $(NODE_OPTIONS)))
NODE_FILES := $(O)/tools/mgctl $(O)/tools/margay-checkpoint $(O)/man/mgctl.8 tools/mgctl/mgctl.bash $(MODULES) $(O)/guests/hello \
	linux=$(O)/cache/cloud/vmlinuz initramfs=$(GUEST_INITRAMFS) $(NODE)/disk.img.gz
# $(call node_modules,INITRAMFS[,WORDS]): the modules, with that initramfs and more words for the kernel.
node_modules = \
	--module '$(NODE)/linux-node=guest name=dom0 vcpus=2 mem=$(NODE_MEM) initial on_reboot=machine on_crash=restart -- console=hvc0 quiet$2' \
	--module '$(NODE)/$1=initrd for=dom0'
# $(call node_image,KIND,FILE,INITRAMFS[,WORDS])
node_image = O=$(abspath $(O)) scripts/mkimage --cache $(O)/cache/grub --kind $1 --force -o $2 --options '$(NODE_OPTIONS)' \
	$(call node_modules,$3,$4) $(O)/margay
NODE_IMAGE_NEEDS := $(O)/margay $(NODE)/linux-node $(O)/tools/bootcheck scripts/mkimage $(O)/flags/node

$(NODE)/linux-node: $(O)/cache/node/root.tar tools/image/extract-elf
	$(Q)mkdir -p $(@D)
	@echo "  ELF     $@"
	$(Q)tar -xOf $< ./boot/vmlinuz >$@.gz
	$(Q)tools/image/extract-elf $@.gz $@
	$(Q)rm $@.gz

$(NODE)/initramfs-node.zst: $(O)/cache/node/root.tar scripts/mknode $(shell find scripts/node/root -type f) \
		$(foreach file,$(NODE_FILES),$(lastword $(subst =, ,$(file)))) $(NODE_KEYS) $(O)/flags/node
	$(Q)mkdir -p $(@D)
	@echo "  INITRD  $@"
	$(Q)scripts/mknode $< $@ '$(NODE_KEYS)' $(NODE_FILES)

# What margay-install writes to a disk. The root is on that disk then.
$(NODE)/initramfs-disk.zst: $(O)/cache/node/root.tar $(O)/cache/busybox/busybox scripts/mknode-disk scripts/node/disk/init
	$(Q)mkdir -p $(@D)
	@echo "  INITRD  $@"
	$(Q)scripts/mknode-disk $(wordlist 1,2,$^) $@

$(NODE)/disk.img.gz: $(NODE)/initramfs-disk.zst $(NODE_IMAGE_NEEDS)
	@echo "  IMAGE   $@"
	$(Q)$(call node_image,gpt,$(basename $@),$(<F), root=LABEL=margay-root)
	$(Q)gzip -nf $(basename $@)

$(NODE)/margay-node.img: $(NODE)/initramfs-node.zst $(NODE_IMAGE_NEEDS)
	@echo "  IMAGE   $@"
	$(Q)$(call node_image,gpt,$@,$(<F))
	@echo "  IMAGE   $(NODE)/net"
	$(Q)$(call node_image,net,$(NODE)/net,$(<F))

$(USB_IMAGE): $(O)/margay guests scripts/mkimage scripts/mkusb.py test/scenarios.list FORCE
	@echo "  IMAGE   $@"
	$(Q)O=$(O) scripts/mkusb.py -o $@ $<

FORCE:

# Builds the image, and the first time says how long that takes.
BUILD_RUN_ISO = $(Q)O=$(O) $(SETUP) build run control $(if $(LIBVIRT),libvirt)
BUILD_RUN_ISO += && { [ -e $(RUN_ISO) ] || echo 'Building Margay, its guests and the control domain: a minute or two, once.'; }

iso:
	$(BUILD_RUN_ISO)
	$(AGAIN) $(RUN_ISO)

run:
	$(CHECK_MACHINE)
	$(BUILD_RUN_ISO)
	$(AGAIN) $(RUN_ISO)
	$(Q)O=$(O) scripts/qemu --cpus $(CPUS) --mem $(MEM) --accel $(ACCEL) $(RUN_ISO)

node:
	$(Q)O=$(O) $(SETUP) build run control docs node
	$(AGAIN) $(NODE)/margay-node.img
	@echo "$(NODE)/margay-node.img is for a disk, of which it takes the whole;"
	@echo "$(NODE)/net is for a TFTP server: margay.0, margay.efi or margay.ipxe."

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
	$(Q)O=$(O) $(SETUP) build run control $(if $(LIBVIRT),libvirt) debug
	$(AGAIN) $(RUN_ISO)
	$(Q)O=$(O) scripts/qemu --cpus $(CPUS) --mem $(MEM) --debug $(O)/margay $(RUN_ISO)
