# SPDX-License-Identifier: BSD-2-Clause
#
# Policy modules; included by the top Makefile. Builds $(O)/modules/NAME.mod from modules/NAME.c, and the
# hostile modules of the tests, $(O)/test/modules/NAME.mod, from test/modules/NAME.c, and well-behaved ones of
# scenarios from test/beds/modules. install-headers installs the files to build other modules with under
# $(DESTDIR)$(PREFIX).

MODULE_INCLUDE := include
include modules/module.mk

MODULES := $(patsubst modules/%.c,$(O)/modules/%.mod,$(wildcard modules/*.c))
TEST_MODULES := $(patsubst test/modules/%.c,$(O)/test/modules/%.mod,$(wildcard test/modules/*.c))
BED_MODULES := $(patsubst %.c,$(O)/%.mod,$(wildcard test/beds/modules/*.c))

.PHONY: modules test-modules install-headers

modules: $(MODULES)

# For a test: a list that allows only this module.
$(O)/modules/allowed: $(O)/modules/rr.mod
	$(Q)sha256sum $< >$@
test-modules: $(TEST_MODULES) $(BED_MODULES)

$(eval $(call flags_file,modules,$(MODULE_CC) $(MODULE_CFLAGS) $(MODULE_LD)))

define build_module
	@mkdir -p $(@D)
	@echo "  MOD     $<"
	$(Q)$(MODULE_CC) $(MODULE_CFLAGS) -MMD -MP -MT $@ -MF $(@:.mod=.d) -c -o $(@:.mod=.o) $<
	$(Q)$(MODULE_LD) -o $@ $(@:.mod=.o)
endef
$(O)/modules/%.mod: modules/%.c modules/module.mk $(O)/flags/modules
	$(build_module)
$(O)/test/modules/%.mod: test/modules/%.c modules/module.mk $(O)/flags/modules
	$(build_module)
$(O)/test/beds/modules/%.mod: test/beds/modules/%.c modules/module.mk $(O)/flags/modules
	$(build_module)
-include $(MODULES:.mod=.d) $(TEST_MODULES:.mod=.d) $(BED_MODULES:.mod=.d)

install-headers:
	install -d $(DESTDIR)$(PREFIX)/include/margay/public $(DESTDIR)$(PREFIX)/share/margay
	install -m 644 include/public/policy.h include/public/policy_lib.h include/public/types.h \
		$(DESTDIR)$(PREFIX)/include/margay/public
	install -m 644 modules/module.mk $(DESTDIR)$(PREFIX)/share/margay
