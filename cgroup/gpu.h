/*
 * The gpu controller: which cgroup allocated how much GPU memory from which allocator (proposal: "cgroup: gpu: Add a
 * cgroup controller for allocator attribution of GPU memory", v7).
 *
 * An allocator registers a *bucket*. Each allocation is charged to (cgroup of the allocating task, bucket), counts in
 * all ancestors too, and is uncharged when it is freed, whoever holds it by then. A *pool* is what a cgroup keeps for a
 * bucket it was ever charged for.
 *
 * Charging takes no global lock once the pool exists: the pool is found by the bucket's number, counters are atomic.
 * Amounts are rounded up to whole pages. Charging may sleep (it may make pools); uncharging never does.
 */
#pragma once

#include "cgroup/cgroup.h"

#define GPUCG_BUCKET_NAME_MAX_LEN 64 /* with the NUL */

struct gpucg;
struct gpucg_bucket;
struct thread;

/*
 * Copies @name; a bucket that lives for ever, or ERR_PTR: -EINVAL (NULL, empty, blanks or control bytes: the files are
 * read by words), -ENAMETOOLONG (no NUL within 64 bytes), -EEXIST, -ENOMEM.
 */
struct gpucg_bucket *gpucg_register_bucket(const char *name) MUST_CHECK;
/* For buckets with a size of their own (device memory): shown in gpu.memory.capacity. */
void gpucg_bucket_set_capacity(struct gpucg_bucket *bucket, uint64_t bytes);

/* A counted reference to the task's cgroup (NULL: the current thread's); NULL while the controller is off. */
struct gpucg *gpucg_get(struct thread *task) MUST_CHECK;
void gpucg_put(struct gpucg *gpucg); /* NULL is fine */
/* No reference taken; NULL gives NULL; the root's parent is NULL. */
struct gpucg *css_to_gpucg(struct cgroup_css *css);
struct gpucg *gpucg_parent(struct gpucg *gpucg);
/* The group's path below the root ("-": the controller is off), for messages. Returns @buffer. */
char *gpucg_path(struct gpucg *gpucg, char *buffer, size_t size);

/*
 * 0; -ENOMEM: a limit, or no memory; -EINVAL: no bucket, nothing to charge, or rounding up would overflow. All or
 * nothing. A NULL @gpucg (controller off) charges nothing and gives 0.
 */
int gpucg_charge(struct gpucg *gpucg, struct gpucg_bucket *bucket, uint64_t bytes) MUST_CHECK;
/* The exact reverse. More than is charged, or an unknown pair: one rate-limited error line, nothing changed. */
void gpucg_uncharge(struct gpucg *gpucg, struct gpucg_bucket *bucket, uint64_t bytes);
/*
 * Moves a charge: no reader sees it in both or in neither, and no ancestor common to both is touched. -ENOMEM (limit
 * or memory) and -EINVAL (not charged to @from) change nothing. May sleep.
 */
int gpucg_transfer(struct gpucg *from, struct gpucg *to, struct gpucg_bucket *bucket, uint64_t bytes) MUST_CHECK;

/* Bytes charged to @gpucg and its descendants; 0 for NULL. May sleep. */
uint64_t gpucg_usage(struct gpucg *gpucg, const struct gpucg_bucket *bucket);

/* For cgroup_init(); gpu_off.c has the same calls with nothing behind them, for builds without the controller. */
extern const struct cgroup_controller gpu_controller;
