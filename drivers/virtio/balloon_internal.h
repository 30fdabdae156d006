/*
 * What the balloon's files share.
 *
 * A *block* is 2^order pages taken from the page allocator at once. It is in one place at any time: in a batch being
 * filled or in flight (inflating or deflating), or on one of the lists of what the balloon holds, by the method that
 * told the host and by order.
 *
 * A *batch* is what goes to the device in one buffer. There are a few, made at probe. Once acknowledged, its blocks are
 * remembered in a *bundle*, which was allocated before they were sent: giving back never needs memory. All this is kept
 * outside the page structures: those of a page that nobody has used yet need not be touched, and touching those of
 * 7 GiB would cost the host 112 MiB and far more time than the inflation itself.
 *
 * Who owns what: the worker thread alone touches the virtqueues and moves blocks; it does
 * so with balloon->lock held, which whoever else reads takes too.
 */
#pragma once

#include "drivers/virtio/balloon.h"
#include "kernel/mutex.h"
#include "lib/sparse_bitmap.h"
#include "mm/hinting.h"
#include "mm/oom.h"
#include "mm/page_alloc.h"
#include "mm/shrinker.h"

/* 5.5.3 */
#define BALLOON_F_MUST_TELL_HOST 0u
#define BALLOON_F_STATS_VQ	 1u
#define BALLOON_F_DEFLATE_ON_OOM 2u
#define BALLOON_F_FREE_PAGE_HINT 3u
#define BALLOON_F_PAGE_POISON	 4u
#define BALLOON_F_REPORTING	 5u
/*
 * VIRTIO_BALLOON_F_SG, which the standard does not have: a buffer on the inflate (deflate) queue is a chain of
 * device-writable (readable) descriptors, each a run of whole pages, and no array of page numbers. It was proposed as
 * bit 3; the standard has since given that to FREE_PAGE_HINT and goes on counting from there. Bits 50 to 127 are a
 * device's own too (2.2), so this one is up there, far from the next to be given away. tools/qemu-sg/ is a device.
 */
#define BALLOON_F_SG 55u

/* 5.5.4: offsets in the configuration. */
#define BALLOON_CONFIG_NUM_PAGES  0u
#define BALLOON_CONFIG_ACTUAL	  4u
#define BALLOON_CONFIG_CMD_ID	  8u
#define BALLOON_CONFIG_POISON_VAL 12u

#define BALLOON_NR_BATCHES	 8u
#define BALLOON_PFNS_PER_BATCH	 (PAGE_SIZE / sizeof(uint32_t)) /* 1024: one page of numbers, one block of order 10 */
#define BALLOON_BLOCKS_PER_BATCH 64u

enum balloon_queue {
	BALLOON_QUEUE_INFLATE,
	BALLOON_QUEUE_DEFLATE,
	BALLOON_QUEUE_STATS,
	BALLOON_QUEUE_HINT,
	BALLOON_QUEUE_REPORT,
	NR_BALLOON_QUEUES,
};

struct balloon;
struct balloon_batch;

/* One way to tell the host about pages. */
struct balloon_method {
	const char *name;
	/* Can this device be told that way? */
	bool (*available)(const struct balloon *balloon);
	/* How much goes into one batch. */
	unsigned int (*most_blocks)(const struct balloon *balloon);
	unsigned int most_pages;
	/*
	 * Adds the batch to the right queue and kicks. -ENOSPC: the device has none of it, try again later; other
	 * errors: the queue is broken, and what of it the device has is not known before a reset.
	 */
	int (*inflate)(struct balloon *balloon, struct balloon_batch *batch);
	/* The same the other way; NULL: the host need not know, pages may be used at once. */
	int (*deflate)(struct balloon *balloon, struct balloon_batch *batch);
};

enum balloon_method_id { BALLOON_METHOD_REPORT, BALLOON_METHOD_SG, BALLOON_METHOD_PFN, NR_BALLOON_METHODS };
extern const struct balloon_method *const balloon_methods[NR_BALLOON_METHODS]; /* the best first */
extern const struct balloon_method balloon_method_pfn, balloon_method_report, balloon_method_sg;

/* Blocks in an array: first page and order in one word. */
struct balloon_bundle {
	struct list_node node;	      /* of a hold, the latest first */
	uint64_t first_pfn, last_pfn; /* of its blocks: none begins elsewhere */
	unsigned int nr_blocks;
	bool whole_page; /* its memory is no kmalloc()'s */
	uint64_t blocks[];
};

/* Even in memory that is all in pieces there is a page for the bundle of a batch. */
#define BALLOON_BLOCKS_PER_BUNDLE ((PAGE_SIZE - sizeof(struct balloon_bundle)) / sizeof(uint64_t))

static inline uint64_t balloon_block(uint64_t pfn, unsigned int order)
{
	return pfn << 8 | order;
}
static inline uint64_t balloon_block_pfn(uint64_t block)
{
	return block >> 8;
}
static inline unsigned int balloon_block_order(uint64_t block)
{
	return block & 0x3f;
}
/* Somebody is moving it: it stays where it is, and is not given back (balloon_move.c). */
#define BALLOON_BLOCK_ISOLATED 0x80ull
static inline bool balloon_block_is_isolated(uint64_t block)
{
	return block & BALLOON_BLOCK_ISOLATED;
}
static inline uint64_t balloon_block_pages(uint64_t block)
{
	return 1ull << balloon_block_order(block);
}

enum balloon_batch_state { BALLOON_BATCH_IDLE, BALLOON_BATCH_INFLATING, BALLOON_BATCH_DEFLATING, BALLOON_BATCH_MOVING };

struct balloon_batch {
	struct list_node node; /* of balloon->idle */
	enum balloon_batch_state state;
	enum balloon_method_id method;
	unsigned int nr_blocks;
	uint64_t nr_pages, sent_ns;
	uint64_t *blocks;	       /* [BALLOON_PFNS_PER_BATCH] */
	uint32_t *pfns;		       /* [BALLOON_PFNS_PER_BATCH]: a page, for the device */
	struct balloon_bundle *bundle; /* INFLATING: where the blocks will be remembered */
};

struct balloon_hold { /* what was told by one method and acknowledged */
	struct list_node bundles;
	uint64_t nr_pages;
};

struct balloon_counters {
	uint64_t inflated_pages, deflated_pages; /* ever */
	uint64_t batches, targets, retries, stats_requests, oom_pages, moved_pages;
	uint64_t hinted_batches;
};

struct balloon_hinting { /* balloon_hinting.c: the batch of free blocks that is being told */
	struct page_hinting_cb cb;
	uint32_t state; /* atomic; changed with balloon->lock held */
	bool over;	/* atomic: the device is not to be told anything any more */
	const struct page_hinting_block *blocks;
	unsigned int count;
	int result;
	uint64_t sent_ns;
	struct wait_queue done;
};

struct balloon_free_page_hint { /* balloon_free_page_hint.c */
	bool config_changed;	/* atomic */
	bool supplying, done;
	uint32_t *messages; /* [2], in a page of their own: a command's id, stop */
	uint32_t cmd_id;    /* the last that the host gave */
	uint64_t *kept;	    /* [most_blocks], answered by the device; NULL until the first command */
	unsigned int nr_kept, nr_in_flight, most_blocks;
	unsigned int nr_old; /* of those kept, the first so many are of an earlier command */
	uint64_t kept_pages; /* atomic */
	uint64_t told_pages, commands, looked_ns;
	struct shrinker shrinker;
};

struct balloon_move {	   /* balloon_move.c: the one that is under way */
	struct mutex lock; /* whoever migrates holds it until there is a result */
	uint32_t state;	   /* atomic; changed with balloon->lock held */
	bool over;	   /* no more blocks are isolated */
	struct page *from, *to;
	enum balloon_method_id method;
	unsigned int order;
	int result;
	struct wait_queue done;
};

struct balloon {
	struct list_node node; /* of all balloons */
	unsigned int users;    /* under the lock of that list */
	struct virtio_device *dev;
	struct thread *worker;
	struct wait_queue wake;
	bool poked; /* an interrupt, or the configuration changed: look again. Atomic */
	struct mutex lock;
	/* Below: written by the worker, with the lock held. */
	struct virtqueue *queues[NR_BALLOON_QUEUES]; /* NULL: not negotiated */
	struct balloon_batch batches[BALLOON_NR_BATCHES];
	struct list_node idle;
	struct sparse_bitmap runs; /* of the batch that method sg is sending */
	struct balloon_hold holds[NR_BALLOON_METHODS];
	uint64_t target_pages;
	uint64_t inflating_pages, deflating_pages;
	uint64_t actual_pages; /* as last written to the device */
	uint64_t actual_written_ns;
	unsigned int order; /* the largest that the allocator still had */
	bool starved;	    /* no memory could be taken; not before retry_at_ns again */
	bool starved_said, unavailable_said;
	uint64_t retry_at_ns;
	struct page *stats_page;
	bool stats_with_device;
	uint64_t answer_timeout_ns;
	struct balloon_hinting hinting;
	struct balloon_move move;
	uint64_t isolated_pages; /* of those held: marked */
	bool poisoned;		 /* PAGE_POISON was negotiated: what comes back is filled with poison_val */
	uint32_t poison_val;
	struct oom_notifier oom;
	uint64_t oom_wanted; /* pages that somebody out of memory waits for; 0: nobody does. Atomic, as oom_given */
	uint64_t oom_given;
	uint64_t oom_start; /* deflated_pages when the worker saw the request */
	struct wait_queue oom_answer;
	struct balloon_free_page_hint free_page_hint;
	struct balloon_counters counters;
};

/* balloon.c */
int balloon_work(void *balloon);
/* From anywhere: the worker looks again. */
void balloon_poke(struct balloon *balloon);
/* Tells the host what is held, if that changed; not @now: at most every 20 ms. */
void balloon_write_actual(struct balloon *balloon, bool now);
/* Resets the device and takes everything back. False: it does not reset, and keeps what it may be working on. */
bool balloon_reset_and_release(struct balloon *balloon);

/* Pages that may still be taken: what is free beyond the watermarks and the reserve. */
uint64_t balloon_takeable_pages(void);
/* The batch was given to the device. */
void balloon_batch_sent(struct balloon *balloon, struct balloon_batch *batch, enum balloon_batch_state state);

/* balloon_files.c */
/*
 * The balloon that @visit says true of, or NULL. With @may_sleep it does not go away before balloon_put(); without,
 * NULL may also mean that the list was in use, and the balloon is not to be touched any more.
 */
struct balloon *balloon_find(bool (*visit)(struct balloon *balloon, void *argument), void *argument, bool may_sleep);
void balloon_put(struct balloon *balloon);
/* The user wants page numbers, so F_SG must not be negotiated. */
bool balloon_wants_page_numbers(void);
enum balloon_method_id balloon_choose_method(struct balloon *balloon);
uint64_t balloon_reserve_pages(void);
/* What free pages are to be said to hold; -1: nothing, PAGE_POISON is declined. */
int64_t balloon_poison(void);
void balloon_list_add(struct balloon *balloon);
/* Waits for its users. */
void balloon_list_del(struct balloon *balloon);

/* balloon_blocks.c: moving blocks between allocator, batches and holds; balloon->lock is held. */
uint64_t balloon_held_pages(const struct balloon *balloon);
/* An idle batch for a method, or NULL. */
struct balloon_batch *balloon_take_batch(struct balloon *balloon, enum balloon_method_id method);
/* Takes up to @wanted pages from the allocator, as large blocks as there are, and a bundle for them; how many it got.
 */
uint64_t balloon_fill_from_allocator(struct balloon *balloon, struct balloon_batch *batch, uint64_t wanted);
/* Takes what was held last, up to the block with which it makes @surplus pages, or more; how many. */
uint64_t balloon_fill_from_hold(struct balloon *balloon, struct balloon_batch *batch, uint64_t surplus);
/* The batch's blocks go to the hold of its method, or back to the allocator; the batch is idle again. */
void balloon_batch_to_hold(struct balloon *balloon, struct balloon_batch *batch);
void balloon_batch_to_allocator(struct balloon *balloon, struct balloon_batch *batch);
/* Only the first @blocks stay in a batch from the allocator; the others go back to it. */
void balloon_batch_shorten(struct balloon *balloon, struct balloon_batch *batch, unsigned int blocks);
/* For a single block whose place is kept elsewhere: an empty batch carries it; it is idle again. */
void balloon_batch_set(struct balloon_batch *batch, uint64_t block);
void balloon_batch_forget(struct balloon *balloon, struct balloon_batch *batch);
/* With the poison, or with 0 where there is none. */
void balloon_fill(const struct balloon *balloon, struct page *page, unsigned int order);
/* PAGE_POISON: a block that was with the host holds anything; one that is free holds the poison. */
void balloon_fill_poison(const struct balloon *balloon, struct page *page, unsigned int order);
/* Everything held goes back to the allocator. */
void balloon_release_hold(struct balloon *balloon);
int balloon_check_one(const struct balloon *balloon) MUST_CHECK;

/* balloon_sg.c: @runs is a set of page numbers, empty between batches. */
void balloon_runs_init(struct sparse_bitmap *runs);
/* 0, or -ENOMEM: then none of the @pages is in the set. Cannot fail for pages that were in it before. */
int balloon_runs_record(struct sparse_bitmap *runs, uint64_t pfn, uint64_t pages) MUST_CHECK;
/* Empties the set: its runs become one chain (or more, if the ring is short), which is published and kicked. */
int balloon_runs_send(struct sparse_bitmap *runs, struct virtqueue *vq, bool in, void *token) MUST_CHECK;

/* balloon_move.c; but for the first: balloon->lock is held */
void balloon_move_init(void);
/* Sends what is next of a move; 0 or -EIO. */
int balloon_move_turn(struct balloon *balloon);
bool balloon_move_in_flight(const struct balloon *balloon);
void balloon_move_answered(struct balloon *balloon, struct balloon_batch *batch);
/* Ends a move and refuses others; on return no block is isolated. Drops the lock meanwhile. */
void balloon_move_over(struct balloon *balloon, bool reset);

/* balloon_oom.c */
void balloon_oom_start(struct balloon *balloon);
/* Before the worker ends: on return nobody waits for it any more. */
void balloon_oom_stop(struct balloon *balloon);
/* For the worker: pages still to be given back to somebody who is out of memory; answers when there are none left. */
uint64_t balloon_oom_missing(struct balloon *balloon);

/* balloon_stats.c */
int balloon_stats_start(struct balloon *balloon) MUST_CHECK;
/* Answers if the host asked; 0 or -EIO. */
int balloon_stats_poll(struct balloon *balloon) MUST_CHECK;

/* balloon_hinting.c: free page hinting through the reporting queue. The worker's calls, balloon->lock is held. */
int balloon_hinting_turn(struct balloon *balloon) MUST_CHECK; /* sends what waits; 0 or -EIO */
void balloon_hinting_answered(struct balloon *balloon);	      /* its token came back */
bool balloon_hinting_in_flight(const struct balloon *balloon);
/* The device was reset, or could not be: nothing is told any more, who waits is told so. */
void balloon_hinting_over(struct balloon *balloon, bool reset);
/* When the worker runs; and before it is stopped, or as the last thing it does: may sleep, no lock held. */
void balloon_hinting_start(struct balloon *balloon);
void balloon_hinting_stop(struct balloon *balloon);

/* balloon_free_page_hint.c: the queue of that name. Obeys the host, tells it of some blocks; 0 or -EIO. */
int balloon_free_page_hint_turn(struct balloon *balloon) MUST_CHECK;
/* Another turn is due before long; nobody interrupts. */
bool balloon_free_page_hint_is_busy(const struct balloon *balloon);
/* As with balloon_hinting_*(). */
void balloon_free_page_hint_over(struct balloon *balloon, bool reset);
void balloon_free_page_hint_start(struct balloon *balloon);
void balloon_free_page_hint_stop(struct balloon *balloon);
