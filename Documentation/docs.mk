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

# Checks each exercise's reference solution in a copy of the tree.
check-exercises: $(O)/margay guests
	$(Q)passed=0; failed=0; for e in $(EXERCISES); do \
		if O=$(O) Documentation/exercises/$$e/check --solution; then \
			passed=$$((passed + 1)); \
		else \
			failed=$$((failed + 1)); \
			echo "FAILED exercise $$e; again:$(OTHER_O) Documentation/exercises/$$e/check --solution"; \
		fi; \
	done; \
	echo "$$passed passed, $$failed failed, 0 skipped"; [ $$failed = 0 ]
