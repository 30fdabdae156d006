/*
 * Address spaces: a table of pages for the CPU, and areas that say what belongs there.
 *
 * Who shares what: threads share a struct mm; a fork shares its pages until one side writes. All that are forked from
 * one another are a family (mm/vm/rmap.h), in which a page has the same address wherever it is mapped.
 *
 * Locking, in this order:
 *   mm->lock (mutex)          areas, and everything that adds to the tables; faults take it, too;
 *   family->lock (spin)       who is in the family;
 *   mm->table_lock (spin)     entries of the tables. The CPU itself sets accessed and dirty bits at any time, so
 *                             entries are changed by atomic operations only.
 * Who holds only the last two (reverse maps: reclaim, compaction, migration) may replace an entry that maps a page by
 * one that is parked and back, and may clear bits; never fill an empty one. Flushes happen under table_lock: nobody
 * takes it with interrupts off.
 *
 * Counting: every entry that maps a page holds one of page->refcount and one of page->mapcount; so does a parked entry
 * of kind PTE_PARKED_DEVICE; one of kind PTE_PARKED_MIGRATION holds nothing. A block of 2 MiB (PTE_HUGE) is one page:
 * a huge entry counts once, and where it was split, each of the entries with PTE_PART.
 */
#pragma once

#include "arch/x86_64/pte.h"
#include "kernel/address_space.h"
#include "kernel/mutex.h"
#include "lib/errno.h"
#include "mm/page_alloc.h"

#define HUGE_ORDER PAGEBLOCK_ORDER
#define HUGE_BYTES (PAGE_SIZE << HUGE_ORDER)

#define MM_LOWEST  0x10000ul		       /* below: NULL and near it */
#define MM_BASE	   0x100000000000ul	       /* where places are looked for */
#define GATE_START (USER_END - 16 * PAGE_SIZE) /* the page that is in every address space, in no area of it */

enum area_flags {
	AREA_READ = 1,
	AREA_WRITE = 2,
	AREA_SHARED = 4,      /* writes go to the file, not to a copy */
	AREA_LOCKED = 8,      /* mlock */
	AREA_PFNMAP = 16,     /* frames without page structures */
	AREA_MIXEDMAP = 32,   /* some with, some without */
	AREA_HUGE = 64,	      /* huge pages wanted, */
	AREA_NOHUGE = 128,    /* unwanted */
	AREA_MERGEABLE = 256, /* for KSM */
	AREA_SOFT_DIRTY = 512,
};

/* What faults find in an area without a file of its own: NULL ops is anonymous memory. */
struct area;
struct area_ops {
	const char *name;
	/*
	 * The page for @index (of the object), with a reference for the entry, a file's page locked; or
	 * ERR_PTR(-errno). May sleep.
	 */
	struct page *(*page)(struct area *area, uint64_t index);
	/* For PFNMAP and MIXEDMAP, asked first: a frame without a page; true if @index has one. */
	bool (*frame)(struct area *area, uint64_t index, uint64_t *pfn);
	/* Instead of both: the area is anonymous, but its pages come from here (NULL: none left, take ordinary ones).
	 */
	struct page *(*alloc)(struct area *area);
	void (*open)(struct area *area);  /* one more area shows the object: fork, split */
	void (*close)(struct area *area); /* one less */
};

struct area {
	struct list_node node; /* in mm->areas, ascending, no overlaps */
	uint64_t start, end;   /* @end is read by walks of files, too, without mm->lock */
	uint32_t flags;	       /* enum area_flags */
	int policy_node;       /* where its pages should be: NODE_ANY or a node */
	uint64_t index;	       /* of the first page in the object */
	const struct area_ops *ops;
	void *object;
	struct mm *mm;
	struct list_node object_node; /* for the object's list of areas */
};

static inline bool area_is_anon(const struct area *area)
{
	return !area->ops || area->ops->alloc;
}

/* Pages mapped, by kind; under table_lock. */
enum mm_counter { MM_ANON, MM_FILE, MM_DEVICE, MM_PARKED, MM_HUGE, NR_MM_COUNTERS };

struct family;
struct mem_cgroup;

struct mm {
	struct address_space space; /* first: a thread's slot points here */
	uint32_t users;
	uint32_t id;
	struct mutex lock;
	struct list_node areas;
	struct area *last; /* found last */
	uint64_t mapped_pages, locked_pages;
	uint64_t faults;
	struct mem_cgroup *memcg; /* what its pages are charged to, with a reference; under @lock */
	struct spinlock table_lock;
	int64_t counters[NR_MM_COUNTERS];
	uint64_t table_pages;
	struct list_node spare_tables; /* struct page.lru: one per huge entry, so that it can always be split */
	struct family *family;
	struct list_node family_node;
	struct list_node all_node; /* in the list of all */
	uint32_t numa_scan;	   /* where the next pass for hints begins, in pages of 2 MiB */
};

static inline struct mm *mm_of(struct address_space *space)
{
	return container_of(space, struct mm, space);
}

/* An empty one with one user, or NULL. May sleep, as all below. */
struct mm *mm_new(void) MUST_CHECK;
void mm_get(struct mm *mm);
/* The last one out takes everything down. */
void mm_put(struct mm *mm);
/* A copy that shares pages until one side writes; or ERR_PTR(-ENOMEM) and nothing has changed. */
struct mm *mm_fork(struct mm *parent) MUST_CHECK;
/* The running thread lives in @mm (NULL: in none) from now on, with a reference of its own; children inherit it. */
void mm_use(struct mm *mm);
struct mm *mm_current(void);
/* @thread's, with a reference, or NULL. The thread may end or go elsewhere meanwhile, but is not freed. */
struct mm *mm_of_thread(struct thread *thread) MUST_CHECK;
/* Once at boot: fault handler, thread hooks, the zero page. */
int mm_vm_init(void) MUST_CHECK;
/* Every living mm in turn, with a reference that the caller returns; start with NULL. */
struct mm *mm_next(struct mm *after) MUST_CHECK;

/* A place in all spaces that is remembered without a reference. */
struct vm_cursor {
	uint32_t id;
	uint64_t address;
};
/* The space it is in, or the next one that lives, with a reference; NULL: behind the last, and it is at the first. */
struct mm *vm_cursor_mm(struct vm_cursor *cursor) MUST_CHECK;
static inline void vm_cursor_next_mm(struct vm_cursor *cursor)
{
	*cursor = (struct vm_cursor){.id = cursor->id + 1};
}

struct mapping_request {
	uint64_t start; /* 0: anywhere */
	uint64_t bytes;
	uint32_t flags;
	const struct area_ops *ops;
	void *object;
	uint64_t index;
};
/* The address, or -EINVAL (not whole pages, outside), -EEXIST (occupied), -ENOMEM. */
int64_t mm_map(struct mm *mm, const struct mapping_request *request) MUST_CHECK;
static inline int64_t mm_map_anon(struct mm *mm, uint64_t start, uint64_t bytes, uint32_t flags)
{
	return mm_map(mm, &(struct mapping_request){.start = start, .bytes = bytes, .flags = flags});
}
/*
 * Maps a frame without a page structure where nothing is mapped yet, in a PFNMAP or MIXEDMAP area; writable if the area
 * is shared. 0, -EINVAL, -EEXIST, -ENOMEM.
 */
int mm_insert_frame(struct mm *mm, uint64_t address, uint64_t pfn) MUST_CHECK;
/* Holes are fine. 0, -EINVAL, -ENOMEM (an area cannot be cut in two). */
int mm_unmap(struct mm *mm, uint64_t start, uint64_t bytes);
/* Only AREA_READ and AREA_WRITE. -ENOMEM: a hole; what lies before it has changed. */
int mm_protect(struct mm *mm, uint64_t start, uint64_t bytes, uint32_t rights);

/* Resolves a fault: 0, -EFAULT (no area, no right), -ENOMEM, or what the area's object says. */
int mm_fault(struct mm *mm, uint64_t address, bool write);
/* Every page of the range is there afterwards, written if the area lets. */
int mm_populate(struct mm *mm, uint64_t start, uint64_t bytes);

/* Copies from or to any address space, as user_read() and user_write() do for one's own. 0 or -EFAULT. */
int mm_read(struct mm *mm, uint64_t address, void *to, size_t bytes) MUST_CHECK;
int mm_write(struct mm *mm, uint64_t address, const void *from, size_t bytes) MUST_CHECK;

/* ---- areas; under mm->lock ---- */

/* The area that holds @address, or NULL. */
struct area *area_find(struct mm *mm, uint64_t address);
/* One like @area for @mm, in no list, its object not told. NULL: no memory. */
struct area *area_clone(const struct area *area, struct mm *mm) MUST_CHECK;
/* The first area that ends behind @address, or NULL. */
struct area *area_at_or_after(struct mm *mm, uint64_t address);
struct area *area_next(struct mm *mm, struct area *area);
/* Cuts areas so that some of them make up [start, end) exactly, holes apart. 0 or -ENOMEM. */
int area_isolate(struct mm *mm, uint64_t start, uint64_t end) MUST_CHECK;
/* Joins neighbours in and around the range that have become alike. */
void area_merge(struct mm *mm, uint64_t start, uint64_t end);

/* Every area that touches [start, end); for each the part is [MAX(start, area->start), MIN(end, area->end)). */
#define for_each_area(area, mm, from, to)                                                    \
	for (struct area *area = area_at_or_after((mm), (from)); area && area->start < (to); \
	     area = area_next((mm), area))

/* @entries entries more (or less) map @page; under table_lock. */
void mm_count(struct mm *mm, const struct page *page, int64_t entries, bool huge);

/* All counts and links agree; nobody uses the space meanwhile. 0 or -EINVAL with a line per fault. */
int mm_check(struct mm *mm) MUST_CHECK;
