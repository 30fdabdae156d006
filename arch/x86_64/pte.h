/*
 * Entries of page tables as the CPU and we read them (Intel SDM volume 3, 4.5.4): one 64-bit word, in every level.
 *
 * The CPU looks at a present entry only; of it, bits 9-11 and 52-58 are ours, and of one that is not present all of
 * them. An entry that is not 0 is one of:
 *   - present;
 *   - hinting (PTE_HINT, not present): as a present one, but every access faults: who used it, and from where?
 *   - parked (neither): what stands for a page that cannot be reached now, see enum pte_parked.
 */
#pragma once

#include "lib/compiler.h"

#define PTE_ENTRIES    512u
#define PTE_LEVEL_BITS 9u

#define PTE_PRESENT    BIT(0)
#define PTE_WRITE      BIT(1)
#define PTE_ACCESSED   BIT(5)
#define PTE_DIRTY      BIT(6)
#define PTE_HUGE       BIT(7)  /* a leaf at level 1: 2 MiB */
#define PTE_HINT       BIT(8)  /* only where PTE_PRESENT is not */
#define PTE_SPECIAL    BIT(9)  /* no page structure counts this mapping */
#define PTE_PART       BIT(10) /* one of the pages of a block of 2 MiB that is one page to everybody */
#define PTE_SOFT_DIRTY BIT(11) /* written since somebody cleared it */
#define PTE_DEVICE     BIT(58) /* device memory with page structures */
#define PTE_NO_EXECUTE BIT(63)
#define PTE_ADDRESS    0x000ffffffffff000ul

/* Bits 2-3 of a parked entry; the others in it say what it was and will be again. */
#define PTE_PARKED_SHIFT 2u
#define PTE_PARKED_HINT	 BIT(4) /* it will be hinting */
enum pte_parked {
	PTE_PARKED_MIGRATION = 1, /* the page is on its way elsewhere: wait */
	PTE_PARKED_DEVICE = 2,	  /* in memory that the CPU cannot reach: the device must give it back */
};

static inline uint64_t pte_pfn(uint64_t entry)
{
	return (entry & PTE_ADDRESS) >> 12;
}

/* Present or hinting: it maps something. */
static inline bool pte_maps(uint64_t entry)
{
	return entry & (PTE_PRESENT | PTE_HINT);
}

/* 0: not parked, but empty or mapping. */
static inline enum pte_parked pte_parked(uint64_t entry)
{
	return pte_maps(entry) ? 0 : (enum pte_parked)(entry >> PTE_PARKED_SHIFT & 3);
}

static inline uint64_t pte_make_parked(enum pte_parked kind, uint64_t pfn, uint64_t keep)
{
	return pfn << 12 | (uint64_t)kind << PTE_PARKED_SHIFT |
	       (keep &
		(PTE_WRITE | PTE_PART | PTE_HUGE | PTE_SOFT_DIRTY | PTE_ACCESSED | PTE_DIRTY | PTE_PARKED_HINT)) |
	       (keep & PTE_HINT ? PTE_PARKED_HINT : 0);
}

/* Which entry of a table of @level @address belongs to, and how much one covers. */
static inline unsigned int pte_index(uint64_t address, unsigned int level)
{
	return address >> (12 + PTE_LEVEL_BITS * level) & (PTE_ENTRIES - 1);
}

static inline uint64_t pte_bytes(unsigned int level)
{
	return 1ul << (12 + PTE_LEVEL_BITS * level);
}
