# SPDX-License-Identifier: BSD-2-Clause
# libv3m, v2m and their tests, included by tools/tools.mk.

V3M_SONAME := libv3m.so.0
V3M_LIB_SRCS := $(filter-out tools/v3m/v2m.c,$(wildcard tools/v3m/*.c))
V3M_PACKAGES := libxml-2.0 libvirt glib-2.0
V3M_CFLAGS := -std=gnu11 -O2 -g -D_GNU_SOURCE -Itools/v3m -fno-common -fstack-protector-strong $(WARN)
V3M_PKG = $(shell pkg-config --cflags $(V3M_PACKAGES))
V3M_LIBS = $(shell pkg-config --libs $(V3M_PACKAGES))
V3M_VERSION := $(firstword $(file <VERSION))
V3M_OBJS := $(V3M_LIB_SRCS:%.c=$(O)/obj/%.o) $(O)/obj/tools/v3m/dtd.o
V3M_SANITIZED := $(V3M_LIB_SRCS:%.c=$(O)/v3m/obj/%.o) $(O)/v3m/obj/tools/v3m/dtd.o
$(eval $(call flags_file,v3m,$(CC) $(V3M_CFLAGS)))

.PHONY: v3m check-v3m
v3m: $(O)/v3m/$(V3M_SONAME) $(O)/v3m/v2m $(O)/v3m/v3m.pc $(O)/v3m/v3m_profile.dtd

# The DTD as a C string.
$(O)/v3m/dtd.c: tools/v3m/v3m_profile.dtd tools/v3m/v3m.mk
	@mkdir -p $(@D)
	$(Q){ echo '#include "internal.h"'; echo 'const char v3m_dtd_text[] ='; sed 's/[\\"]/\\&/g; s/.*/"&\\n"/' $<; \
		echo ';'; echo 'const unsigned int v3m_dtd_length = sizeof(v3m_dtd_text) - 1;'; } >$@

$(O)/v3m/v3m_profile.dtd: tools/v3m/v3m_profile.dtd
	@mkdir -p $(@D)
	$(Q)cp $< $@

$(O)/obj/tools/v3m/dtd.o: $(O)/v3m/dtd.c $(O)/flags/v3m
	@mkdir -p $(@D)
	$(Q)$(CC) $(V3M_CFLAGS) $(V3M_PKG) -fPIC -c -o $@ $<

$(O)/obj/tools/v3m/%.o: tools/v3m/%.c tools/v3m/v3m.mk $(O)/flags/v3m
	@mkdir -p $(@D)
	@echo "  CC      $<"
	$(Q)$(CC) $(V3M_CFLAGS) $(V3M_PKG) -DV3M_VERSION='"$(V3M_VERSION)"' -fPIC -MMD -MP -c -o $@ $<

$(O)/v3m/$(V3M_SONAME): $(V3M_OBJS) tools/v3m/libv3m.map
	@mkdir -p $(@D)
	@echo "  LD      $@"
	$(Q)$(CC) -shared -Wl,-soname,$(V3M_SONAME) -Wl,--version-script=tools/v3m/libv3m.map -Wl,-z,defs -o $@ $(V3M_OBJS) $(V3M_LIBS)
	$(Q)ln -sfn $(V3M_SONAME) $(@D)/libv3m.so

$(O)/v3m/v2m: $(O)/obj/tools/v3m/v2m.o $(O)/v3m/$(V3M_SONAME)
	@echo "  LD      $@"
	$(Q)$(CC) -o $@ $< -L$(@D) -lv3m -lglib-2.0 -Wl,-rpath,'$$ORIGIN:$$ORIGIN/../lib'

$(O)/v3m/v3m.pc: tools/v3m/v3m.mk VERSION
	@mkdir -p $(@D)
	$(Q)printf '%s\n' 'prefix=$${pcfiledir}/../..' 'Name: v3m' 'Description: virtual machines by profile' \
		'Version: $(V3M_VERSION)' 'Requires.private: $(V3M_PACKAGES)' 'Libs: -L$${prefix}/lib -lv3m' \
		'Cflags: -I$${prefix}/include' >$@

# The same objects with sanitizers, for the unit tests and the fuzzer.
$(O)/v3m/obj/tools/v3m/dtd.o: $(O)/v3m/dtd.c $(O)/flags/v3m
	@mkdir -p $(@D)
	$(Q)$(FUZZCC) $(V3M_CFLAGS) $(V3M_PKG) $(SANITIZE) -c -o $@ $<

$(O)/v3m/obj/%.o: %.c tools/v3m/v3m.mk $(O)/flags/v3m
	@mkdir -p $(@D)
	@echo "  FUZZCC  $<"
	$(Q)$(FUZZCC) $(V3M_CFLAGS) $(V3M_PKG) $(SANITIZE) -fsanitize=fuzzer-no-link -MMD -MP -c -o $@ $<

$(O)/v3m/test_profile: $(O)/v3m/obj/tools/v3m/test/test_profile.o $(V3M_SANITIZED)
	@echo "  LD      $@"
	$(Q)$(FUZZCC) $(SANITIZE) -o $@ $^ $(V3M_LIBS) -lcmocka

$(O)/v3m/fuzz_profile: $(O)/v3m/obj/tools/v3m/test/fuzz_profile.o $(V3M_SANITIZED)
	@echo "  LD      $@"
	$(Q)$(FUZZCC) $(SANITIZE) -fsanitize=fuzzer -o $@ $^ $(V3M_LIBS)

# No emulator but the one that the user's libvirt starts.
check-v3m:
	$(Q)O=$(O) $(SETUP) build v3m
	$(AGAIN) v3m $(O)/v3m/test_profile $(O)/v3m/fuzz_profile
	$(Q)O=$(O) tools/v3m/test/run.py

-include $(V3M_OBJS:.o=.d) $(V3M_SANITIZED:.o=.d) $(O)/obj/tools/v3m/v2m.d
