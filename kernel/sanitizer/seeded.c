/*
 * Errors on purpose, so that a run can show that the sanitizers catch them. The volatile accesses keep the
 * compiler from seeing through them.
 */
#include "kernel/memory.h"
#include "kernel/sanitizer.h"
#include "lib/errno.h"
#include "lib/string.h"

/* Whether this build has the run-time that would catch the kind. */
#ifdef __SANITIZE_ADDRESS__
#define HAS_KASAN true
#else
#define HAS_KASAN false
#endif
#ifdef BALLONET_UBSAN
#define HAS_UBSAN true
#else
#define HAS_UBSAN false
#endif

static volatile int numbers[5];
static volatile int sum;

static int out_of_bounds(void)
{
	volatile char *object = kmalloc(41);

	if (!object)
		return -ENOMEM;
	object[41] = 1;
	kfree((void *)object);
	return 0;
}

static int use_after_free(void)
{
	volatile char *object = kmalloc(41);

	if (!object)
		return -ENOMEM;
	kfree((void *)object);
	object[3] = 1;
	return 0;
}

/* Too large for a slab: pages. */
static int use_free_page(void)
{
	volatile char *pages = kmalloc(MIB(1));

	if (!pages)
		return -ENOMEM;
	kfree((void *)pages);
	return pages[5000] == 1 ? -EFAULT : 0;
}

static int global_out_of_bounds(void)
{
	volatile size_t index = ARRAY_SIZE(numbers);
	volatile int *first = numbers;

	sum = first[index];
	return 0;
}

static int overflow(void)
{
	volatile int large = INT32_MAX;

	sum = large + 1;
	return 0;
}

static int bounds(void)
{
	volatile size_t index = ARRAY_SIZE(numbers) + 1;

	sum = numbers[index];
	return 0;
}

static int shift(void)
{
	volatile int by = 40;

	sum = 1 << by;
	return 0;
}

static const struct seeded_bug {
	const char *name;
	bool is_caught;
	int (*commit)(void);
} bugs[] = {
	{"kasan-oob", HAS_KASAN, out_of_bounds},  {"kasan-uaf", HAS_KASAN, use_after_free},
	{"kasan-page", HAS_KASAN, use_free_page}, {"kasan-global", HAS_KASAN, global_out_of_bounds},
	{"ubsan-overflow", HAS_UBSAN, overflow},  {"ubsan-bounds", HAS_UBSAN, bounds},
	{"ubsan-shift", HAS_UBSAN, shift},
};

int sanitizer_seed_bug(const char *name)
{
	int error;

	for (size_t i = 0; i < ARRAY_SIZE(bugs); i++) {
		if (strcmp(name, bugs[i].name) != 0)
			continue;
		/* Elsewhere it would do real harm, and show nothing. */
		if (!bugs[i].is_caught)
			return -EOPNOTSUPP;
		error = bugs[i].commit();
		return error ? error : -EFAULT;
	}
	return -EINVAL;
}
