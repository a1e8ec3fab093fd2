/* SPDX-License-Identifier: BSD-2-Clause */
/* Compiled once per guest: the name it prints. */
#include "test.h"

const char guest_name[] = GUEST_NAME;
