# SPDX-License-Identifier: BSD-2-Clause
#
# The tools of a control domain, included by the top Makefile. mgctl is linked statically, so that
# it runs in a guest that has only a kernel and an initramfs.

TOOL_CFLAGS := -std=gnu11 -O2 -g -D_GNU_SOURCE -Iinclude -isystem $(O)/inc -fno-common -fstack-protector-strong $(WARN)
XEN_LIBS := -lxenstore -lxencall -lxenforeignmemory -lxentoollog -lxentoolcore
MGCTL_OBJS := $(patsubst %.c,$(O)/obj/%.o,$(wildcard tools/mgctl/*.c))
$(eval $(call flags_file,tools,$(CC) $(TOOL_CFLAGS)))

# Checks options and modules for scripts/mkimage by Margay's own code, which is compiled as for a unit test.
BOOTCHECK := tools/image/bootcheck common/boot/boot_guests common/boot/cmdline common/boot/guest_spec \
	common/boot/elf arch/x86/cpu/spec
BOOTCHECK_OBJS := $(BOOTCHECK:%=$(O)/obj/bootcheck/%.o)
BOOTCHECK_CFLAGS := -std=gnu11 -O2 -g -include test/unit/unit.h -Iinclude -fno-strict-aliasing -fno-pie $(WARN)
$(eval $(call flags_file,bootcheck,$(CC) $(BOOTCHECK_CFLAGS)))

.PHONY: tools

tools: $(O)/tools/mgctl $(O)/tools/margay-checkpoint $(O)/tools/bootcheck

$(BOOTCHECK_OBJS): $(O)/obj/bootcheck/%.o: %.c tools/tools.mk $(O)/flags/bootcheck
	@mkdir -p $(@D)
	@echo "  CC      $<"
	$(Q)$(CC) $(BOOTCHECK_CFLAGS) -MMD -MP -c -o $@ $<

$(O)/tools/bootcheck: $(BOOTCHECK_OBJS)
	@mkdir -p $(@D)
	@echo "  LD      $@"
	$(Q)$(CC) -no-pie -o $@ $^

$(O)/obj/tools/mgctl/main.o: $(O)/inc/margay-build.h
$(MGCTL_OBJS): $(O)/obj/%.o: %.c tools/tools.mk $(O)/flags/tools
	@mkdir -p $(@D)
	@echo "  CC      $<"
	$(Q)$(CC) $(TOOL_CFLAGS) -MMD -MP -c -o $@ $<

$(O)/tools/mgctl: $(MGCTL_OBJS)
	@mkdir -p $(@D)
	@echo "  LD      $@"
	$(Q)$(CC) -static -Wl,--gc-sections -o $@ $^ $(XEN_LIBS)

# Xen's libxl is a shared library of the control domain, and so are those that it needs.
CHECKPOINT_OBJS := $(patsubst %,$(O)/obj/tools/checkpoint/%.o,main live monitor stream chain disk)
$(CHECKPOINT_OBJS): $(O)/obj/%.o: %.c tools/tools.mk $(O)/flags/tools
	@mkdir -p $(@D)
	@echo "  CC      $<"
	$(Q)$(CC) $(TOOL_CFLAGS) -pthread -MMD -MP -c -o $@ $<

$(O)/tools/margay-checkpoint: $(CHECKPOINT_OBJS)
	@mkdir -p $(@D)
	@echo "  LD      $@"
	$(Q)$(CC) -pthread -o $@ $^ -lxenlight -lxentoollog -lxenctrl -lxenforeignmemory -lxenstore -lzstd -ldevmapper

# For tests in Linux guests: mgctl's library access to Margay, and checks of what a guest relies on.
GUESTCHECK_OBJS := $(patsubst %,$(O)/obj/test/beds/linux/%.o,guestcheck channels)
$(GUESTCHECK_OBJS): $(O)/obj/%.o: %.c tools/tools.mk $(O)/flags/tools
	@mkdir -p $(@D)
	@echo "  CC      $<"
	$(Q)$(CC) $(TOOL_CFLAGS) -MMD -MP -c -o $@ $<

$(O)/tools/guestcheck: $(GUESTCHECK_OBJS) $(filter-out %/main.o,$(MGCTL_OBJS))
	@mkdir -p $(@D)
	@echo "  LD      $@"
	$(Q)$(CC) -static -pthread -Wl,--gc-sections -o $@ $^ -lxenevtchn $(XEN_LIBS)

$(O)/tools/dbcheck: CHECK_LIBS := -Wl,-w -lsqlite3 -lm
$(O)/tools/clockcheck $(O)/tools/nvmecheck $(O)/tools/quietcheck $(O)/tools/savecheck $(O)/tools/dbcheck: $(O)/tools/%: test/beds/linux/%.c tools/tools.mk $(O)/flags/tools
	@mkdir -p $(@D)
	@echo "  CC      $<"
	$(Q)$(CC) $(TOOL_CFLAGS) -static -s -pthread -o $@ $< $(CHECK_LIBS)

-include $(BOOTCHECK_OBJS:.o=.d) $(MGCTL_OBJS:.o=.d) $(GUESTCHECK_OBJS:.o=.d) $(CHECKPOINT_OBJS:.o=.d)

-include tools/v3m/v3m.mk
