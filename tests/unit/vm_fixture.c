/*
 * Address spaces for tests. See the header.
 */
#include "tests/unit/vm_fixture.h"

#include "kernel/memory.h"
#include "kernel/panic.h"
#include "mm/daemon.h"
#include "mm/vm/check.h"
#include "mm/vm/device_ram.h"
#include "mm/vm/tables.h"

struct fixture {
	struct ktest *t;
	struct mm *mm;
	uint64_t anon_before;
};

uint64_t anon_pages(void)
{
	struct memory_info info;

	memory_info_get(&info);
	return info.by_owner[PAGE_OWNER_ANON];
}

static void *test_alloc(struct ktest *t, size_t bytes)
{
	void *memory = kzalloc(bytes);

	ASSERT(memory, "no %zu bytes for a test", bytes);
	ktest_defer(t, kfree, memory);
	return memory;
}

static void put_mm(void *argument)
{
	struct fixture *fixture = argument;

	EXPECT_OK(fixture->t, mm_check(fixture->mm));
	mm_put(fixture->mm);
}

static void end(void *argument)
{
	struct fixture *fixture = argument;

	EXPECT_EQ(fixture->t, anon_pages(), fixture->anon_before);
	EXPECT_OK(fixture->t, vm_check());
}

static void leave(void *argument UNUSED)
{
	mm_use(NULL);
}

static void release_daemons(void *argument UNUSED)
{
	daemons_release();
}

static struct mm *adopt(struct ktest *t, struct mm *mm, uint64_t anon_before)
{
	struct fixture *fixture = test_alloc(t, sizeof(*fixture));

	ASSERT(mm && !IS_ERR(mm), "no address space for a test");
	*fixture = (struct fixture){t, mm, anon_before};
	if (anon_before != UINT64_MAX)
		ktest_defer(t, end, fixture);
	ktest_defer(t, put_mm, fixture);
	return mm;
}

struct mm *fixture_mm(struct ktest *t)
{
	struct mm *mm;

	daemons_hold();
	ktest_defer(t, release_daemons, NULL);
	mm = adopt(t, mm_new(), anon_pages());
	mm_use(mm);
	ktest_defer(t, leave, NULL);
	return mm;
}

struct mm *fixture_fork(struct ktest *t, struct mm *parent)
{
	return adopt(t, mm_fork(parent), UINT64_MAX);
}

uint64_t fixture_area(struct ktest *t, struct mm *mm, uint64_t pages, uint32_t flags)
{
	int64_t start = mm_map_anon(mm, 0, pages * PAGE_SIZE, flags);

	if (start < 0)
		ktest_fail(t, __FILE__, __LINE__, "no area of %lu pages: %s", pages, error_name((int)start));
	return (uint64_t)start;
}

uint64_t peek(uint64_t address)
{
	uint64_t value;

	return user_read(&value, address, sizeof(value)) ? UINT64_MAX : value;
}

int poke(uint64_t address, uint64_t value)
{
	return user_write(address, &value, sizeof(value));
}

uint64_t peek_in(struct mm *mm, uint64_t address)
{
	uint64_t value;

	return mm_read(mm, address, &value, sizeof(value)) ? UINT64_MAX : value;
}

int poke_in(struct mm *mm, uint64_t address, uint64_t value)
{
	return mm_write(mm, address, &value, sizeof(value));
}

uint64_t entry_of(struct mm *mm, uint64_t address)
{
	unsigned int level;
	uint64_t *entry;

	mutex_lock(&mm->lock);
	entry = table_leaf(mm, address, &level);
	mutex_unlock(&mm->lock);
	return entry ? entry_get(entry) : 0;
}

/* ---- devices ---- */

struct test_device {
	struct ktest *t;
	struct device_memory *device;
};

static void remove_device(void *argument)
{
	struct test_device *at = argument;

	EXPECT_EQ(at->t, at->device->used, 0u);
	EXPECT_OK(at->t, device_ram_free(at->device));
}

static struct device_memory *make_device(struct ktest *t, const char *name, uint64_t pages, enum device_kind kind)
{
	struct test_device *at = test_alloc(t, sizeof(*at));

	*at = (struct test_device){t, device_from_ram(name, kind, pages)};
	ASSERT(at->device, "no device memory for a test");
	ktest_defer(t, remove_device, at);
	return at->device;
}

struct device_memory *fixture_coherent(struct ktest *t, uint64_t pages)
{
	return make_device(t, "test-coherent", pages, DEVICE_COHERENT);
}

struct device_memory *fixture_private(struct ktest *t, uint64_t pages)
{
	return make_device(t, "test-private", pages, DEVICE_PRIVATE);
}
