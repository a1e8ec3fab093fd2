/* SPDX-License-Identifier: BSD-2-Clause */
/* What this build is. common/version.c */
#pragma once

extern const char version_date[], version_changeset[];

/* Prints the version, the date of its commit and the first 8 bytes of the build-id. */
void version_print(void);
