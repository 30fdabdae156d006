/*
 * The kernel's page tables. See <arch/page.h> for the layout; <arch/io.h> has device_map().
 * Locking: one lock for all changes; allocated tables are never freed.
 */
#pragma once

#include "lib/compiler.h"

enum paging_rights { PAGING_READ = 0, PAGING_WRITE = 1, PAGING_EXECUTE = 2, PAGING_UNCACHED = 4 };

/*
 * Maps [virt, virt + bytes) to phys; all page-aligned; large pages where both allow. Mapping what is mapped is a
 * programmer error. 0 or -ENOMEM. From paging_init() on.
 */
int paging_map(uint64_t virt, uint64_t phys, uint64_t bytes, unsigned int rights) MUST_CHECK;
/* Unmaps and flushes on all CPUs. */
void paging_unmap(uint64_t virt, uint64_t bytes);
/* What is behind an address, or false. */
bool paging_lookup(uint64_t virt, uint64_t *phys, unsigned int *rights);
/* For addresses within the kernel image. */
uint64_t image_to_phys(const void *address);
/* No range is writable and executable; text is not writable. 0 or -EINVAL with a line per fault. */
int paging_check(void) MUST_CHECK;
