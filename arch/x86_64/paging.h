/*
 * The kernel's page tables. See <arch/page.h> for the layout; <arch/io.h> has device_map().
 * Locking: one lock for all changes; allocated tables are never freed.
 */
#pragma once

#include "lib/compiler.h"

enum paging_rights { PAGING_READ = 0, PAGING_WRITE = 1, PAGING_EXECUTE = 2, PAGING_UNCACHED = 4 };

/*
 * Maps [virt, virt + bytes) to phys; all page-aligned; large pages where both allow. Mapping what is mapped is a
 * programmer error, and so is asking for writable and executable. 0, or -ENOMEM and nothing is mapped. From
 * paging_init() on.
 */
int paging_map(uint64_t virt, uint64_t phys, uint64_t bytes, unsigned int rights) MUST_CHECK;
/*
 * Unmaps and flushes on all CPUs. What is not mapped is skipped; cutting a large page is a programmer error. Interrupts
 * are on and no spin lock is held once other CPUs run.
 */
void paging_unmap(uint64_t virt, uint64_t bytes);
/* What is behind an address, or false. @phys and @rights may be NULL. Any context, no lock. */
bool paging_lookup(uint64_t virt, uint64_t *phys, unsigned int *rights);
/* Makes the top table's entry for @virt, if there is none, so that it never changes again. 0 or -ENOMEM. */
int paging_reserve_top(uint64_t virt) MUST_CHECK;
/* For addresses within the kernel image. */
uint64_t image_to_phys(const void *address);
/*
 * No range is writable and executable; nothing of the image's text and constants is writable, anywhere. 0 or -EINVAL
 * with a line per fault.
 */
int paging_check(void) MUST_CHECK;

/*
 * For starting other CPUs: what to load into CR3 (below 4 GiB; CR4.PAE, EFER.LME and NXE, CR0.WP on), and an identity
 * mapping, read and execute, of the one page the trampoline is in, there only from map to unmap.
 */
uint64_t paging_root(void);
int paging_trampoline_map(uint64_t phys) MUST_CHECK;
void paging_trampoline_unmap(uint64_t phys);
