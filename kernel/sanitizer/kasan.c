/*
 * The address sanitizer's run-time: a shadow byte for every eight bytes of RAM and of the kernel image.
 *
 * A shadow byte is 0 if all eight may be touched, 1..7 if only that many first ones, or a reason why none
 * may. The compiler puts a call before each access (it could put the test there itself, but then everything
 * would need a shadow from the first instruction on: devices, stacks, the boot code). So an access before
 * kasan_init(), or to what has no shadow, costs a comparison and is let pass.
 *
 * RAM lies in few spans (below and above the hole under 4 GiB); holes narrower than a shadow's large page are
 * covered, too, since that is cheaper than telling them apart. This file is not instrumented itself.
 */
#include "kernel/kasan.h"

#include "arch/x86_64/paging.h"
#include "kernel/boot_info.h"
#include "kernel/panic.h"
#include "kernel/printk.h"
#include "lib/atomic.h"
#include "lib/string.h"

#include <arch/page.h>

#define GRANULE	      8ul
#define SHADOW_OFFSET (KASAN_SHADOW_BASE - (DIRECT_MAP_BASE >> 3))
/* What one large page of shadow describes. */
#define SPAN_ALIGN (LARGE_PAGE_SIZE * GRANULE)
#define MAX_SPANS  8u

extern char image_start[], image_end[];

struct span { /* virtual, [start, end) */
	uint64_t start, end;
};

static struct span spans[MAX_SPANS];
static size_t nr_spans;
static bool is_on;

static inline uint8_t *shadow_of(uint64_t address)
{
	return (uint8_t *)((address >> 3) + SHADOW_OFFSET);
}

static inline bool has_shadow(uint64_t address, uint64_t bytes)
{
	for (size_t i = 0; i < nr_spans; i++)
		if (address >= spans[i].start && address < spans[i].end)
			return bytes <= spans[i].end - address;
	return false;
}

/* ---- checking ---- */

/* True if the first @count bytes of the granule with this shadow may be touched. */
static inline bool allows(uint8_t shadow, uint64_t count)
{
	return shadow == 0 || (shadow < GRANULE && count <= shadow);
}

/* The first address in [start, start + bytes) that may not be touched, or 0. @bytes > 0. */
static uint64_t first_bad(uint64_t start, uint64_t bytes)
{
	uint64_t end = start + bytes;

	for (uint64_t at = start; at < end; at = ALIGN_DOWN(at, GRANULE) + GRANULE) {
		uint8_t shadow = *shadow_of(at);
		uint64_t granule = ALIGN_DOWN(at, GRANULE);

		if (!allows(shadow, MIN(end - granule, GRANULE)))
			return shadow < GRANULE ? MAX(at, granule + shadow) : at;
	}
	return 0;
}

static const char *reason(uint8_t shadow)
{
	switch (shadow) {
	case KASAN_FREE_PAGE:
		return "a free page";
	case KASAN_FREE_OBJECT:
		return "a freed object";
	case KASAN_GLOBAL:
		return "beyond a global variable";
	default:
		return "beyond an object";
	}
}

static void show_shadow(uint64_t bad)
{
	uint64_t line = ALIGN_DOWN(bad, 16 * GRANULE);

	if (!has_shadow(line, 16 * GRANULE))
		return;
	pr_err("kasan: shadow of 0x%lx: %02x %02x %02x %02x %02x %02x %02x %02x  %02x %02x %02x %02x %02x "
	       "%02x %02x %02x",
	       line, shadow_of(line)[0], shadow_of(line)[1], shadow_of(line)[2], shadow_of(line)[3], shadow_of(line)[4],
	       shadow_of(line)[5], shadow_of(line)[6], shadow_of(line)[7], shadow_of(line)[8], shadow_of(line)[9],
	       shadow_of(line)[10], shadow_of(line)[11], shadow_of(line)[12], shadow_of(line)[13], shadow_of(line)[14],
	       shadow_of(line)[15]);
}

static void NOINLINE report(uint64_t start, uint64_t bytes, uint64_t bad, bool write, const void *caller)
{
	uint8_t why = *shadow_of(bad);
	char where[80];

	/* Once is enough; what the panic itself touches is let pass. */
	store_relaxed(&is_on, false);
	/* A granule of which a part may be touched does not say why the rest may not; the next one does. */
	if (why < GRANULE && has_shadow(bad + GRANULE, 1))
		why = *shadow_of(bad + GRANULE);
	show_shadow(bad);
	panic("kasan: %s of %lu bytes at 0x%lx by %s touches 0x%lx: %s", write ? "write" : "read", bytes, start,
	      symbol_format(where, sizeof(where), (uint64_t)caller), bad, reason(why));
}

static ALWAYS_INLINE void check(uint64_t start, uint64_t bytes, bool write, const void *caller)
{
	uint64_t bad;

	if (!is_on || !has_shadow(start, bytes))
		return;
	/* Mostly an aligned word in an open granule. */
	if (likely(bytes <= GRANULE && start % GRANULE + bytes <= GRANULE && *shadow_of(start) == 0))
		return;
	bad = first_bad(start, bytes);
	if (unlikely(bad))
		report(start, bytes, bad, write, caller);
}

void kasan_check(const void *start, size_t bytes, bool write)
{
	check((uint64_t)start, bytes, write, __builtin_return_address(0));
}

bool kasan_allows(const void *start, size_t bytes)
{
	return !is_on || !bytes || !has_shadow((uint64_t)start, bytes) || !first_bad((uint64_t)start, bytes);
}

/* What the compiler calls. "noabort": it does not assume that we do not return. */
#define CHECK_SIZE(bytes)                                                  \
	void __asan_load##bytes##_noabort(uint64_t address);               \
	void __asan_store##bytes##_noabort(uint64_t address);              \
	void __asan_load##bytes##_noabort(uint64_t address)                \
	{                                                                  \
		check(address, bytes, false, __builtin_return_address(0)); \
	}                                                                  \
	void __asan_store##bytes##_noabort(uint64_t address)               \
	{                                                                  \
		check(address, bytes, true, __builtin_return_address(0));  \
	}
CHECK_SIZE(1)
CHECK_SIZE(2)
CHECK_SIZE(4)
CHECK_SIZE(8)
CHECK_SIZE(16)

void __asan_loadN_noabort(uint64_t address, uint64_t bytes);
void __asan_storeN_noabort(uint64_t address, uint64_t bytes);
void __asan_handle_no_return(void);

void __asan_loadN_noabort(uint64_t address, uint64_t bytes)
{
	check(address, bytes, false, __builtin_return_address(0));
}

void __asan_storeN_noabort(uint64_t address, uint64_t bytes)
{
	check(address, bytes, true, __builtin_return_address(0));
}

/* For stacks, which have no shadow here. */
void __asan_handle_no_return(void)
{
}

/* ---- poisoning ---- */

void kasan_poison(const void *start, size_t bytes, uint8_t why)
{
	uint64_t address = (uint64_t)start;

	if (is_on && bytes && has_shadow(address, bytes))
		memset(shadow_of(address), why, DIV_ROUND_UP(bytes, GRANULE));
}

void kasan_unpoison(const void *start, size_t bytes)
{
	uint64_t address = (uint64_t)start;

	if (!is_on || !bytes || !has_shadow(address, bytes))
		return;
	memset(shadow_of(address), 0, bytes / GRANULE);
	if (bytes % GRANULE)
		*shadow_of(address + bytes) = bytes % GRANULE;
}

/* ---- global variables: each file has a constructor that tells us of its own ---- */

struct global { /* the compiler's layout */
	const char *start;
	uint64_t bytes, bytes_with_redzone;
	const char *name, *file;
	uint64_t has_constructor;
	void *location;
	uint64_t indicator;
};

void __asan_register_globals(const struct global *globals, uint64_t count);
void __asan_unregister_globals(const struct global *globals, uint64_t count);

void __asan_register_globals(const struct global *globals, uint64_t count)
{
	for (uint64_t i = 0; i < count; i++) {
		kasan_poison(globals[i].start, globals[i].bytes_with_redzone, KASAN_GLOBAL);
		kasan_unpoison(globals[i].start, globals[i].bytes);
	}
}

void __asan_unregister_globals(const struct global *globals UNUSED, uint64_t count UNUSED)
{
}

static void register_globals(void)
{
	extern void (*const kasan_constructors[])(void), (*const kasan_constructors_end[])(void);

	for (void (*const *at)(void) = kasan_constructors; at < kasan_constructors_end; at++)
		(*at)();
}

/* ---- making the shadow ---- */

static void add_span(uint64_t start, uint64_t end)
{
	struct span *last = nr_spans ? &spans[nr_spans - 1] : NULL;

	start = ALIGN_DOWN(start, SPAN_ALIGN);
	end = ALIGN_UP(end, SPAN_ALIGN);
	if (last && start <= last->end) {
		last->end = MAX(last->end, end);
		return;
	}
	if (nr_spans == MAX_SPANS) {
		pr_warn("kasan: memory at 0x%lx is in one span too many: not checked", start);
		return;
	}
	spans[nr_spans++] = (struct span){start, end};
}

static void map_span(const struct span *span, uint64_t (*alloc)(uint64_t bytes, uint64_t align))
{
	uint64_t virt = (uint64_t)shadow_of(span->start), bytes = (span->end - span->start) / GRANULE;
	uint64_t phys = alloc(bytes, LARGE_PAGE_SIZE);

	if (!phys || paging_map(virt, phys, bytes, PAGING_READ | PAGING_WRITE))
		panic("kasan: no memory for 0x%lx bytes of shadow; give the machine more", bytes);
	memset((void *)virt, 0, bytes);
}

void kasan_init(const struct boot_info *info, uint64_t (*alloc)(uint64_t bytes, uint64_t align))
{
	for (size_t i = 0; i < info->nr_ranges; i++) {
		const struct boot_range *range = &info->ranges[i];

		if (range->type <= BOOT_MEMORY_BOOT_SERVICES)
			add_span(DIRECT_MAP_BASE + range->start, DIRECT_MAP_BASE + range->end);
	}
	add_span((uint64_t)image_start, (uint64_t)image_end);
	for (size_t i = 0; i < nr_spans; i++)
		map_span(&spans[i], alloc);
	store_release(&is_on, true);
	register_globals();
}
