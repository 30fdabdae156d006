/*
 * Slots, patterns, and the operations that move them.
 *
 * The owner's lock covers slots and the way from page to slot. A block that is isolated stays in its slot; nobody but
 * who isolated it touches it until it is migrated or put back.
 */
#include "tests/unit/movable_owner.h"

#include "kernel/memory.h"
#include "lib/atomic.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "mm/memory.h"
#include "mm/movable.h"
#include "mm/pcp.h"
#include "tests/unit/mm_fixture.h"

static struct movable_owner *the_owner;

/* ---- contents -----------------------------------------------------------------------------------------------------
 */

static uint64_t *words_of(const struct movable_owner *owner, const struct page *page)
{
	return owner->has_memory ? page_address(page) : &owner->contents[zone_index(owner->zone, page)];
}

static size_t nr_words(const struct movable_owner *owner, unsigned int order)
{
	return (owner->has_memory ? PAGE_SIZE / 8 : 1) << order;
}

/* Every 64th word and the last one of each page: the place of a page that went astray is known by then. */
static size_t next_word(const struct movable_owner *owner, size_t at)
{
	return owner->has_memory ? at + 64 : at + 1;
}

static uint64_t pattern(uint32_t slot, size_t word)
{
	return 0x9e3779b97f4a7c15ull * (slot + 1) + word;
}

static void fill(const struct movable_owner *owner, uint32_t slot)
{
	uint64_t *words = words_of(owner, owner->slots[slot].page);

	for (size_t at = 0; at < nr_words(owner, owner->slots[slot].order); at = next_word(owner, at))
		words[at] = pattern(slot, at);
}

static bool is_intact(const struct movable_owner *owner, uint32_t slot)
{
	const uint64_t *words = words_of(owner, owner->slots[slot].page);

	for (size_t at = 0; at < nr_words(owner, owner->slots[slot].order); at = next_word(owner, at))
		if (words[at] != pattern(slot, at))
			return false;
	return true;
}

/* ---- operations ---------------------------------------------------------------------------------------------------
 */

static bool is_ours(const struct movable_owner *owner, const struct page *page)
{
	return page >= owner->zone->pages && page < owner->zone->pages + owner->zone->spanned_pages;
}

static uint32_t find_locked(const struct movable_owner *owner, const struct page *page)
{
	return is_ours(owner, page) ? owner->slot_of[zone_index(owner->zone, page)] - 1 : MO_NO_SLOT;
}

static bool test_isolate(struct page *page)
{
	struct movable_owner *owner = load_acquire(&the_owner);
	uint32_t slot;
	bool done;

	if (!owner)
		return false;
	spin_lock(&owner->lock);
	slot = find_locked(owner, page);
	done = slot != MO_NO_SLOT && owner->slots[slot].state == MO_HELD;
	if (done && owner->refuse_isolation) {
		owner->refuse_isolation--;
		done = false;
	}
	if (done)
		owner->slots[slot].state = MO_ISOLATED;
	spin_unlock(&owner->lock);
	return done;
}

static int refusal_locked(struct movable_owner *owner, uint32_t slot)
{
	if (owner->busy_now) {
		owner->busy_now--;
		return -EAGAIN;
	}
	return slot == owner->busy_slot ? -EBUSY : 0;
}

static int test_migrate(struct page *from, struct page *to)
{
	struct movable_owner *owner = the_owner;
	struct mo_slot *held;
	uint32_t slot;
	int error;

	spin_lock(&owner->lock);
	slot = find_locked(owner, from);
	error = slot == MO_NO_SLOT || !is_ours(owner, to) ? -EBUSY : refusal_locked(owner, slot);
	if (slot == MO_NO_SLOT || owner->slots[slot].state != MO_ISOLATED)
		owner->wrong = true;
	spin_unlock(&owner->lock);
	if (error)
		return error;
	held = &owner->slots[slot];
	memcpy(words_of(owner, to), words_of(owner, from), nr_words(owner, held->order) * 8);
	memset(words_of(owner, from), 0xa5, nr_words(owner, held->order) * 8);
	spin_lock(&owner->lock);
	owner->slot_of[zone_index(owner->zone, from)] = 0;
	owner->slot_of[zone_index(owner->zone, to)] = slot + 1;
	held->page = to;
	held->state = MO_HELD;
	owner->moves++;
	owner->moves_down += to < from;
	spin_unlock(&owner->lock);
	return 0;
}

static void test_put_back(struct page *page)
{
	struct movable_owner *owner = the_owner;
	uint32_t slot;

	spin_lock(&owner->lock);
	slot = find_locked(owner, page);
	if (slot == MO_NO_SLOT || owner->slots[slot].state != MO_ISOLATED)
		owner->wrong = true;
	else
		owner->slots[slot].state = MO_HELD;
	spin_unlock(&owner->lock);
}

static const struct movable_ops test_ops = {
	.isolate = test_isolate,
	.migrate = test_migrate,
	.put_back = test_put_back,
};

/* ---- holding ------------------------------------------------------------------------------------------------------
 */

static struct page *alloc_block(struct movable_owner *owner, unsigned int order)
{
	struct zone *zone = owner->zone;
	uint32_t index;

	if (owner->has_memory) {
		struct page *page = alloc_pages_node(
			zone->node, GFP_USER | GFP_THISNODE | GFP_NOWARN | GFP_OWNER(PAGE_OWNER_TEST), order);

		if (!page || is_ours(owner, page))
			return page;
		free_pages(page, order);
		return NULL;
	}
	index = pcp_bypass_take(zone, fixture_request(order, MIGRATE_MOVABLE, PAGE_OWNER_TEST));
	return index == ZONE_INDEX_NONE ? NULL : zone_page(zone, index);
}

static void free_block(struct movable_owner *owner, struct page *page, unsigned int order)
{
	if (owner->has_memory)
		free_pages(page, order);
	else
		pcp_bypass_give(owner->zone, zone_index(owner->zone, page), order);
}

void mo_adopt(struct movable_owner *owner, uint32_t slot, struct page *page, unsigned int order)
{
	owner->slots[slot] = (struct mo_slot){page, (uint8_t)order, MO_EMPTY};
	fill(owner, slot);
	spin_lock(&owner->lock);
	owner->slot_of[zone_index(owner->zone, page)] = slot + 1;
	owner->slots[slot].state = MO_HELD;
	spin_unlock(&owner->lock);
}

bool mo_take(struct movable_owner *owner, uint32_t slot, unsigned int order)
{
	struct page *page = alloc_block(owner, order);

	if (page)
		mo_adopt(owner, slot, page, order);
	return page;
}

/* The slot is out of everybody's reach; its block still holds the pattern. */
static bool withdraw(struct movable_owner *owner, uint32_t slot)
{
	bool done;

	spin_lock(&owner->lock);
	done = owner->slots[slot].state == MO_HELD;
	if (done) {
		owner->slots[slot].state = MO_EMPTY;
		owner->slot_of[zone_index(owner->zone, owner->slots[slot].page)] = 0;
	}
	spin_unlock(&owner->lock);
	return done;
}

bool mo_give(struct movable_owner *owner, uint32_t slot)
{
	if (!withdraw(owner, slot))
		return false;
	if (!is_intact(owner, slot))
		owner->wrong = true;
	free_block(owner, owner->slots[slot].page, owner->slots[slot].order);
	return true;
}

bool mo_is_empty(struct movable_owner *owner, uint32_t slot)
{
	bool empty;

	spin_lock(&owner->lock);
	empty = owner->slots[slot].state == MO_EMPTY;
	spin_unlock(&owner->lock);
	return empty;
}

void mo_disturb(struct movable_owner *owner, uint32_t refuse, uint32_t busy)
{
	spin_lock(&owner->lock);
	owner->refuse_isolation = refuse;
	owner->busy_now = busy;
	spin_unlock(&owner->lock);
}

bool mo_check_slot(struct movable_owner *owner, uint32_t slot)
{
	return owner->slots[slot].state == MO_EMPTY || is_intact(owner, slot);
}

bool mo_check(struct movable_owner *owner)
{
	bool good = !owner->wrong;

	for (uint32_t slot = 0; slot < owner->nr_slots; slot++)
		good &= owner->slots[slot].state != MO_ISOLATED && mo_check_slot(owner, slot);
	return good;
}

uint32_t mo_slot_at(const struct movable_owner *owner, uint32_t index)
{
	return owner->slot_of[index] - 1;
}

static void release(void *argument)
{
	struct movable_owner *owner = argument;

	for (uint32_t slot = 0; slot < owner->nr_slots; slot++)
		mo_give(owner, slot);
	movable_register(PAGE_OWNER_TEST, NULL);
	store_release(&the_owner, NULL);
	kfree(owner->slots);
	kfree(owner->slot_of);
	kfree(owner->contents);
	kfree(owner);
}

struct movable_owner *movable_owner_new(struct ktest *t, struct zone *zone, uint32_t nr_slots)
{
	struct movable_owner *owner = kzalloc(sizeof(*owner));

	if (!owner)
		return NULL;
	*owner = (struct movable_owner){.zone = zone, .nr_slots = nr_slots, .busy_slot = MO_NO_SLOT};
	owner->has_memory = zone >= memory.zones && zone < memory.zones + memory.nr_zones;
	spin_lock_init(&owner->lock, "movable_owner");
	owner->slots = kzalloc(nr_slots * sizeof(*owner->slots));
	owner->slot_of = kzalloc(zone->spanned_pages * sizeof(*owner->slot_of));
	owner->contents = owner->has_memory ? NULL : kzalloc(zone->spanned_pages * sizeof(*owner->contents));
	if (!owner->slots || !owner->slot_of || (!owner->contents && !owner->has_memory)) {
		kfree(owner->slots);
		kfree(owner->slot_of);
		kfree(owner->contents);
		kfree(owner);
		return NULL;
	}
	store_release(&the_owner, owner);
	movable_register(PAGE_OWNER_TEST, &test_ops);
	ktest_defer(t, release, owner);
	return owner;
}

uint32_t mo_whole_pageblocks(const struct zone *zone)
{
	uint32_t whole = 0;

	for (uint32_t number = 0; number < zone->nr_pageblocks; number++)
		whole += zone->pageblocks[number].whole_order != 0;
	return whole;
}

struct movable_owner *mo_full_zone(struct ktest *t, uint32_t pageblocks)
{
	struct zone *zone = fixture_zone(t, (uint64_t)pageblocks * PAGEBLOCK_PAGES);
	struct movable_owner *owner = movable_owner_new(t, zone, pageblocks * PAGEBLOCK_PAGES);

	for (uint32_t slot = 0; owner && slot < owner->nr_slots; slot++)
		if (!mo_take(owner, slot, 0) || mo_slot_at(owner, slot) != slot)
			return NULL;
	return owner;
}

void mo_thin_out(struct movable_owner *owner, uint32_t first, uint32_t end, uint32_t nth)
{
	for (uint32_t slot = first; slot < end; slot++)
		if (slot % nth)
			mo_give(owner, slot);
}
