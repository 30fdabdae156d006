/*
 * An owner of movable blocks for tests: PAGE_OWNER_TEST, in one zone, private or the machine's.
 *
 * Every block lives in a slot and is filled with a pattern that names the slot and the word; where the block is now,
 * the owner looks up by slot. A migration must carry content and identity over, or mo_check_slot() says so. Only one
 * such owner exists at a time.
 */
#pragma once

#include "kernel/ktest.h"
#include "kernel/spinlock.h"
#include "mm/zone.h"

#define MO_NO_SLOT UINT32_MAX

enum mo_state { MO_EMPTY, MO_HELD, MO_ISOLATED };

struct mo_slot {
	struct page *page;
	uint8_t order, state;
};

struct movable_owner {
	struct zone *zone;
	bool has_memory; /* the zone is one of the machine's: pages are really filled */
	struct spinlock lock;
	uint32_t nr_slots;
	struct mo_slot *slots;
	uint32_t *slot_of;  /* [spanned pages] slot + 1 of the block that begins there */
	uint64_t *contents; /* [spanned pages] of a private zone: a word a page */
	/* What goes wrong on purpose. */
	uint32_t refuse_isolation;  /* the next so many */
	uint32_t busy_now;	    /* the next so many migrations: -EAGAIN */
	uint32_t busy_slot;	    /* this one always: -EBUSY; MO_NO_SLOT: none */
	uint64_t moves, moves_down; /* down: to a lower address */
	bool wrong;		    /* operations were called out of order */
};

/* Released, with what it holds, at the end of the test. NULL: no memory. */
struct movable_owner *movable_owner_new(struct ktest *t, struct zone *zone, uint32_t nr_slots);
/* Fills an empty slot with a block of the zone. False: there is none. */
bool mo_take(struct movable_owner *owner, uint32_t slot, unsigned int order);
/* The same with a block that is PAGE_OWNER_TEST's already. */
void mo_adopt(struct movable_owner *owner, uint32_t slot, struct page *page, unsigned int order);
/* Frees the slot's block after checking its pattern; false if somebody is moving it just now. */
bool mo_give(struct movable_owner *owner, uint32_t slot);
bool mo_is_empty(struct movable_owner *owner, uint32_t slot);
/* The next @refuse isolations are refused, the next @busy migrations say -EAGAIN. */
void mo_disturb(struct movable_owner *owner, uint32_t refuse, uint32_t busy);
/* The pattern is intact; true for an empty slot. */
bool mo_check_slot(struct movable_owner *owner, uint32_t slot);
/* All slots; while nobody moves anything: nothing is isolated. */
bool mo_check(struct movable_owner *owner);
/* The slot whose block begins there, or MO_NO_SLOT. */
uint32_t mo_slot_at(const struct movable_owner *owner, uint32_t index);

/* A private zone full of single movable pages: slot n holds page n. NULL: no memory. */
struct movable_owner *mo_full_zone(struct ktest *t, uint32_t pageblocks);
/* Of the slots [@first, @end) every @nth stays. */
void mo_thin_out(struct movable_owner *owner, uint32_t first, uint32_t end, uint32_t nth);
uint32_t mo_whole_pageblocks(const struct zone *zone);
