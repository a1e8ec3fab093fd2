/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What xl does in the background when a guest shuts down. libxl tells a process of one shutdown only, and for the xl that
 * started the guest that is the first save, where it suspends. monitor.c
 */
#pragma once

#include <libxl.h>
#include <stdint.h>

/* Starts a process that does it for that guest from now on, unless one does so already. */
void monitor_start(uint32_t domid, libxl_ctx *(*open)(void));
