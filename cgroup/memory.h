/*
 * The memory controller: how much memory a group uses, and no more than it may (cgroup v2's memory.current,
 * memory.max).
 *
 * Charged are anonymous pages (device memory in address spaces, too) and pages of files, to the group of the address
 * space or thread that first needs them; mm/memcg.h says when. The root is charged nothing, and has no files.
 */
#pragma once

#include "cgroup/cgroup.h"

extern const struct cgroup_controller memory_controller;
