/* SPDX-License-Identifier: BSD-2-Clause */
/* Margay's allocators from the C library's, with counts of what is allocated. */
#ifndef TEST_UNIT_MOCK_HEAP_H
#define TEST_UNIT_MOCK_HEAP_H

extern unsigned heap_objects, heap_pages;

#endif
