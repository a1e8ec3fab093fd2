# SPDX-License-Identifier: BSD-2-Clause
#
# Margay's own guests, included by the top Makefile. guests/NAME.c, test/guests/ROOM/NAME.c, or all
# of test/guests/ROOM/NAME/*.c becomes $(O)/guests/NAME, linked with guests/lib. `make guests`
# builds them all.

O ?= build
NASM ?= nasm

# The source of each guest without .c: a file or a directory.
GUEST_SRCS := $(basename $(wildcard guests/*.c test/guests/*/*.c)) \
	$(sort $(patsubst %/,%,$(dir $(wildcard test/guests/*/*/*.c))))
GUESTS := $(notdir $(GUEST_SRCS))
GUEST_BINS := $(addprefix $(O)/guests/,$(GUESTS))
GUEST_OBJ := $(O)/guests/obj

GUEST_CFLAGS := -std=gnu11 -O2 -g -ffreestanding -fno-builtin -nostdinc \
	-isystem $(shell $(CC) -print-file-name=include 2>/dev/null) -isystem $(O)/inc -Iguests/lib -Iinclude \
	-D__XEN_INTERFACE_VERSION__=__XEN_LATEST_INTERFACE_VERSION__ \
	-m64 -mno-red-zone -mgeneral-regs-only -fno-pic -fno-pie -fno-stack-protector \
	-fno-asynchronous-unwind-tables -fno-strict-aliasing -fcf-protection=none \
	-Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wpointer-arith \
	-Wwrite-strings -Wvla -Wundef -Werror -MMD -MP
GUEST_LDFLAGS := -m64 -nostdlib -static -Wl,-T,guests/lib/guest.lds \
	-Wl,--build-id=none -Wl,-z,noexecstack -Wl,-z,max-page-size=4096 -Wl,--no-warn-rwx-segments

$(eval $(call flags_file,guests,$(CC) $(GUEST_CFLAGS) $(NASM)))
$(eval $(call flags_file,guests-link,$(CC) $(GUEST_LDFLAGS)))

GUEST_LIB_SRC := $(filter-out guests/lib/name.c,$(wildcard guests/lib/*.c))
GUEST_LIB := $(patsubst %.c,$(GUEST_OBJ)/%.o,$(GUEST_LIB_SRC)) \
	$(patsubst %.asm,$(GUEST_OBJ)/%.asm.o,$(wildcard guests/lib/*.asm))

# $(call guest_objs,SOURCE): a guest's own objects and the object with its name.
guest_objs = $(patsubst %.c,$(GUEST_OBJ)/%.o,$(wildcard $(1).c $(1)/*.c)) \
	$(GUEST_OBJ)/$(notdir $(1))/name.o

.PHONY: guests
guests: $(GUEST_BINS)

# Xen's public headers, from libxen-dev.
$(GUEST_OBJ)/.inc:
	$(Q)mkdir -p $(O)/inc $(@D)
	$(Q)test -e $(O)/inc/xen || ln -sfn /usr/include/xen $(O)/inc/xen
	$(Q)touch $@

$(GUEST_OBJ)/%/name.o: guests/lib/name.c $(GUEST_OBJ)/.inc $(O)/flags/guests
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(GUEST_CFLAGS) -DGUEST_NAME='"$*"' -c -o $@ $<

$(GUEST_OBJ)/%.o: %.c $(GUEST_OBJ)/.inc $(O)/flags/guests
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(GUEST_CFLAGS) -c -o $@ $<

$(GUEST_OBJ)/%.asm.o: %.asm $(O)/flags/guests
	$(Q)mkdir -p $(@D)
	$(Q)$(NASM) -f elf64 -MD $(@:.o=.d) -o $@ $<

# The scenario `policies` embeds all modules.
$(GUEST_OBJ)/policies/modules.S: $(MODULES) $(TEST_MODULES) guests/guests.mk
	$(Q)mkdir -p $(@D)
	$(Q){ echo '.section .rodata'; \
	for m in $(filter %.mod,$^); do n=$$(basename $$m .mod); \
		printf '.balign 16\nm_%s: .incbin "%s"\n.equ e_%s, .\ns_%s: .asciz "%s"\n' \
		$$n $$m $$n $$n $$n; done; \
	printf '.balign 8\n.globl modules\nmodules:\n'; \
	for m in $(filter %.mod,$^); do n=$$(basename $$m .mod); \
		case $$m in */test/*) h=1 ;; *) h=0 ;; esac; \
		printf '.quad s_%s, m_%s, e_%s - m_%s, %s\n' $$n $$n $$n $$n $$h; done; \
	echo '.quad 0, 0, 0, 0'; echo '.section .note.GNU-stack,"",@progbits'; } >$@
$(GUEST_OBJ)/policies/modules.o: $(GUEST_OBJ)/policies/modules.S
	$(Q)$(CC) -c -o $@ $<
$(O)/guests/policies: $(GUEST_OBJ)/policies/modules.o

define guest_rule
$(O)/guests/$(notdir $(1)): $(call guest_objs,$(1)) $(GUEST_LIB) guests/lib/guest.lds $(O)/flags/guests-link
	@echo "  GUEST   $$@"
	$$(Q)$$(CC) $$(GUEST_LDFLAGS) -o $$@ $$(filter %.o,$$^)
endef
$(foreach g,$(GUEST_SRCS),$(eval $(call guest_rule,$(g))))

-include $(wildcard $(addprefix $(GUEST_OBJ)/,*/*.d guests/lib/*.d test/guests/*/*.d test/guests/*/*/*.d))
