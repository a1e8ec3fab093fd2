# SPDX-License-Identifier: BSD-2-Clause
#
# The book and the exercises of its chapters, included by the top Makefile.

SPHINXBUILD ?= sphinx-build
EXERCISES ?= $(patsubst Documentation/exercises/%/check,%,$(sort \
	$(wildcard Documentation/exercises/*/check)))

.PHONY: docs check-exercises

docs:
	$(Q)O=$(O) $(SETUP) docs
	$(Q)$(SPHINXBUILD) -q -W --keep-going -b html -d $(O)/docs/doctrees Documentation $(O)/docs/html
	@echo "the book: $(O)/docs/html/index.html"

# Checks each exercise in a copy of the tree: the reference solution passes, and the unchanged start does not.
check-exercises: $(O)/margay guests
	$(Q)passed=0; failed=0; for e in $(EXERCISES); do for how in --solution --start; do \
		if O=$(O) Documentation/exercises/$$e/check $$how; then \
			passed=$$((passed + 1)); \
		else \
			failed=$$((failed + 1)); \
			echo "FAILED exercise $$e; again:$(OTHER_O) Documentation/exercises/$$e/check $$how"; \
		fi; \
	done; done; \
	echo "$$passed passed, $$failed failed, 0 skipped"; [ $$failed = 0 ]
