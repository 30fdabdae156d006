/*
 * Device memory made of ordinary memory, where there is no device: for tests, the matrix, and trying things out.
 */
#pragma once

#include "mm/vm/device.h"

/* 2 MiB, of which @pages are used; registered. NULL: no memory, or no room among the devices. */
struct device_memory *device_from_ram(const char *name, enum device_kind kind, uint64_t pages) MUST_CHECK;
/* 0, or -EBUSY: a page of it is still in use. */
int device_ram_free(struct device_memory *device) MUST_CHECK;
