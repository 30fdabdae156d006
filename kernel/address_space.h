/*
 * An address space as the CPU sees it: the lower half of the addresses, which changes with the thread. The upper half
 * is the kernel's and the same in all. What lies in it is mm/vm's business; arch/x86_64/mmu.c (in the hosted build
 * tests/host/mmu.c) has the registers.
 *
 * A thread's space is in THREAD_SLOT_MM. A CPU whose next thread has none keeps the last one loaded until somebody
 * flushes it or retires it.
 */
#pragma once

#include "lib/compiler.h"

#define USER_END 0x0000800000000000ul

struct address_space {
	uint64_t root;	  /* physical address of the top table */
	uint64_t cpus;	  /* bit per CPU that may have it loaded; atomic */
	uint64_t changes; /* flushes so far: what was seen before may be no longer true; atomic */
};

/* Makes the kernel's half of a new top table. */
void address_space_init_top(uint64_t *top);
/* Loads it on this CPU. Interrupts off: the scheduler does it before it switches to a thread that has it. */
void address_space_enter(struct address_space *space);
/* The running thread's slot becomes @space (NULL: none), and the CPU has it loaded. */
void address_space_use(struct address_space *space);
/* No CPU has it loaded afterwards; no thread uses it any more. Interrupts on. */
void address_space_retire(struct address_space *space);
/*
 * What was changed in [start, start + bytes) is seen by all CPUs afterwards. Spin locks may be held that nobody takes
 * with interrupts off; interrupts are on.
 */
void address_space_flush(struct address_space *space, uint64_t start, uint64_t bytes);

/*
 * For assertions: a CPU still has a translation to one of these frames, with @to_write to write to it: so somebody
 * forgot to flush. Only the hosted TLBs can be looked into; a real CPU's answer is always no.
 */
bool tlb_reaches(uint64_t pfn, uint64_t pages, bool to_write);

/*
 * Copies between kernel memory and the running thread's space, faulting pages in as any access does. 0, or -EFAULT if
 * the range leaves the lower half, is not mapped with that right, or the caller may not sleep and a page is missing;
 * what was copied by then stays copied.
 */
int user_read(void *to, uint64_t from, size_t bytes) MUST_CHECK;
int user_write(uint64_t to, const void *from, size_t bytes) MUST_CHECK;
/* Who resolves faults: 0, and the access is tried again, or -errno, and it ends. Runs in the thread, interrupts on. */
void user_on_fault(int (*handler)(struct address_space *space, uint64_t address, bool write));

/* Clears whole pages the fastest way. */
void memory_clear_pages(void *to, size_t bytes);
