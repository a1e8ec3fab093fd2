# SPDX-License-Identifier: BSD-2-Clause
#
# Manual pages and installation, included by the top Makefile.

PREFIX ?= /usr/local
SYSCONFDIR ?= /etc
BOOTDIR ?= /boot
V3M_MAN := $(O)/man/v2m.1 $(O)/man/libv3m.3
MAN := $(O)/man/margay.7 $(O)/man/mgctl.8

.PHONY: man install

man: $(MAN)

$(O)/man/margay.7: README.md scripts/mkman.py $(O)/inc/margay-build.h
	@mkdir -p $(@D)
	@echo "  MAN     $@"
	$(Q)scripts/mkman.py $< "$$(scripts/version)" "$$(scripts/version --date)" >$@

# Sphinx makes all pages at once. Their date is the commit's, not that of the build.
$(O)/man/mgctl.8 $(V3M_MAN) &: Documentation/mgctl.rst Documentation/v2m.rst Documentation/libv3m.rst tools/v3m/v3m.h Documentation/conf.py $(O)/inc/margay-build.h
	@mkdir -p $(@D)
	@echo "  MAN     $@"
	$(Q)command -v $(SPHINXBUILD) >/dev/null || { echo "$(SPHINXBUILD) is missing: run scripts/setup docs" >&2; exit 1; }
	$(Q)SOURCE_DATE_EPOCH="$$(scripts/version --time)" $(SPHINXBUILD) -q -b man -d $(O)/docs/doctrees Documentation $(@D)

# /etc/default/margay belongs to the administrator as soon as it is there.
install: $(O)/margay $(O)/guests/hello $(MODULES) $(O)/tools/mgctl $(O)/tools/margay-checkpoint $(O)/tools/bootcheck $(MAN) install-headers
	install -d $(DESTDIR)$(BOOTDIR) $(DESTDIR)$(SYSCONFDIR)/grub.d $(DESTDIR)$(SYSCONFDIR)/default \
		$(addprefix $(DESTDIR)$(PREFIX)/,bin sbin lib/margay/modules share/bash-completion/completions share/man/man7 share/man/man8)
	install -m 644 $(O)/margay $(DESTDIR)$(BOOTDIR)/margay
	install -m 644 $(O)/guests/hello $(DESTDIR)$(BOOTDIR)/margay-hello
	install -m 755 tools/grub/20_margay $(DESTDIR)$(SYSCONFDIR)/grub.d
	test -e $(DESTDIR)$(SYSCONFDIR)/default/margay || \
		install -m 644 tools/grub/margay.default $(DESTDIR)$(SYSCONFDIR)/default/margay
	install -m 755 $(O)/tools/mgctl $(O)/tools/margay-checkpoint $(DESTDIR)$(PREFIX)/sbin
	install -m 644 tools/mgctl/mgctl.bash $(DESTDIR)$(PREFIX)/share/bash-completion/completions/mgctl
	install -m 755 scripts/mkimage $(DESTDIR)$(PREFIX)/bin/margay-mkimage
	install -m 755 $(O)/tools/bootcheck $(DESTDIR)$(PREFIX)/lib/margay/bootcheck
	install -m 755 tools/image/extract-elf $(DESTDIR)$(PREFIX)/bin/margay-extract-elf
	install -m 644 $(MODULES) $(DESTDIR)$(PREFIX)/lib/margay/modules
	install -m 644 $(O)/man/margay.7 $(DESTDIR)$(PREFIX)/share/man/man7
	install -m 644 $(O)/man/mgctl.8 $(DESTDIR)$(PREFIX)/share/man/man8

.PHONY: install-v3m
install-v3m: v3m $(V3M_MAN)
	install -d $(addprefix $(DESTDIR)$(PREFIX)/,bin include lib/pkgconfig share/v3m share/bash-completion/completions \
		share/man/man1 share/man/man3)
	install -m 755 $(O)/v3m/v2m $(DESTDIR)$(PREFIX)/bin
	install -m 755 $(O)/v3m/$(V3M_SONAME) $(DESTDIR)$(PREFIX)/lib
	ln -sfn $(V3M_SONAME) $(DESTDIR)$(PREFIX)/lib/libv3m.so
	install -m 644 tools/v3m/v3m.h $(DESTDIR)$(PREFIX)/include
	install -m 644 $(O)/v3m/v3m.pc $(DESTDIR)$(PREFIX)/lib/pkgconfig
	install -m 644 $(O)/v3m/v3m_profile.dtd $(DESTDIR)$(PREFIX)/share/v3m
	install -m 644 tools/v3m/v2m.bash $(DESTDIR)$(PREFIX)/share/bash-completion/completions/v2m
	install -m 644 $(O)/man/v2m.1 $(DESTDIR)$(PREFIX)/share/man/man1
	install -m 644 $(O)/man/libv3m.3 $(DESTDIR)$(PREFIX)/share/man/man3
