# SPDX-License-Identifier: BSD-2-Clause
#
# Rules to build a policy module for Margay. The including Makefile sets MODULE := NAME, and SRCS unless
# the source is NAME.c; the result is NAME.mod. CROSS_COMPILE= selects other tools. FOR=build/margay
# binds the module to that build: no other build loads it.

MODULE_MK := $(lastword $(MAKEFILE_LIST))
MODULE_INCLUDE ?= $(abspath $(dir $(MODULE_MK))../../include/margay)
MODULE_CC := $(CROSS_COMPILE)gcc
MODULE_CFLAGS := -std=gnu11 -O2 -ffreestanding -nostdinc \
	-isystem $(shell $(MODULE_CC) -print-file-name=include 2>/dev/null) -I$(MODULE_INCLUDE) \
	-m64 -mcmodel=kernel -fno-pic -fno-pie -mgeneral-regs-only -mno-red-zone \
	-fno-stack-protector -fno-asynchronous-unwind-tables -fno-strict-aliasing -fno-common \
	-fno-omit-frame-pointer -fno-delete-null-pointer-checks -fcf-protection=none \
	-Wall -Wextra -Werror
MODULE_LD := $(CROSS_COMPILE)ld -r --build-id=sha1 -z noexecstack

ifdef MODULE
SRCS ?= $(MODULE).c
$(MODULE).mod: $(SRCS:.c=.o) $(if $(FOR),$(MODULE)-for.o)
	$(MODULE_LD) -o $@ $^
%.o: %.c $(MODULE_MK)
	$(MODULE_CC) $(MODULE_CFLAGS) $(CFLAGS) -c -o $@ $<
# Generates a note of type 2 with the bytes of the build-id.
%-for.o: $(FOR)
	id=$$($(CROSS_COMPILE)readelf -n $< | sed -n 's/.*Build ID: *//p' | sed 's/../,0x&/g;s/^,//'); test "$$id"; \
	printf '.section .note.margay,"a",@note\n.balign 4\n.long 7,20,2\n.asciz "Margay"\n.balign 4\n.byte %s\n' \
		"$$id" | $(MODULE_CC) -x assembler -c -o $@ -
clean:
	rm -f $(MODULE).mod $(MODULE)-for.o $(SRCS:.c=.o)
.PHONY: clean
endif
