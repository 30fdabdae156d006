/*
 * Reverse maps: from a page to the entries that map it.
 *
 * Address spaces forked from one another are a family. An anonymous page has the same address in all of them, so the
 * page needs to know its family and its address only, and a walk looks at that place in each member. KSM's pages,
 * which lie at several addresses, and files' have lists of their own.
 *
 * A member joins at the tail before its tables are filled from its parent's, so a walk that has been at the parent
 * meets the child's copies later.
 */
#pragma once

#include "mm/vm/tables.h"

struct cache_file;
struct ksm_node;

struct family {
	struct spinlock lock;
	struct list_node members; /* struct mm.family_node */
	uint32_t references;	  /* one per member, and one per walk */
};

/* A member's place in a family of its own, or in @parent's (NULL: a new one). 0 or -ENOMEM. */
int family_join(struct mm *mm, struct mm *parent) MUST_CHECK;
void family_leave(struct mm *mm);

/* One place where the page is (or, for migration's entries, was) mapped; table_lock is held. */
struct mapped_at {
	struct mm *mm;
	uint64_t address; /* of the entry */
	uint64_t *entry;
	bool huge;
};
struct page_walk {
	struct page *page;
	unsigned int order;	 /* how many pages' places to look at */
	struct family *family;	 /* NULL: the page's, while it is mapped */
	struct ksm_node *merged; /* instead: KSM's list of places */
	struct cache_file *file; /* instead: a file's areas; NULL: the page's, whose lock the caller holds */
	/* Entries that stand for @page: mapping or parked. Non-zero ends the walk and is its result. */
	int (*entry)(struct page_walk *walk, const struct mapped_at *at);
	void *context;
	bool changed; /* set by entry(): what CPUs may have in mind is flushed before table_lock is released */
	uint32_t found;
	enum pte_parked parked; /* what to look for: 0: entries that map; else parked ones of this kind */
};
/* The caller has a reference to the page. Takes family and table locks. */
int page_walk(struct page_walk *walk);

/*
 * All entries that map @page become parked ones: whoever touches it waits. The caller holds PAGE_LOCKED and one
 * reference. Afterwards mapcount is 0; the entries' references are put. Nobody adds a reference to what is not mapped.
 */
struct parking {
	struct page *page;
	unsigned int order;
	struct family *family; /* with a reference: members may all leave meanwhile */
	struct ksm_node *merged;
	struct cache_file *file;
};
struct parking page_park_entries(struct page *page) MUST_CHECK;
/* The parked entries map @to (which may be the same page) again; waiters go on. */
void page_unpark_entries(const struct parking *parking, struct page *to);
/* Or, as the content is all zeros, they map the zero page, huge ones in parts; the page has none any more. */
void page_unpark_as_zeros(const struct parking *parking);
/* Huge entries that map @page become tables. */
void page_split_entries(struct page *page);
/* Has it been used since the last time? The accessed bits are cleared. Entries that had them. */
uint32_t page_referenced(struct page *page);
/* Waits until a migration that was under way when @seen was read is over. */
uint64_t migrations_done(void);
void migration_wait(uint64_t seen);

/* Looks at one address in one space. */
int page_walk_place(struct page_walk *walk, struct mm *mm, uint64_t address);
/* Looks at one address in all members. */
int family_walk(struct page_walk *walk, struct family *family, uint64_t address);
void family_get(struct family *family);
void family_put(struct family *family);
