/*
 * A balloon device for tests, behind a transport of its own: correct, slow, silent, lying, as the test asks.
 *
 * It works on its own side of the rings (ring_device.h), keeps what it was told page by page, and notes every clause
 * that the driver breaks in `faults`, which tests expect to be 0.
 */
#pragma once

#include "drivers/virtio/virtio.h"
#include "kernel/ktest.h"
#include "kernel/spinlock.h"
#include "tests/unit/ring_device.h"

#define SCRIPTED_QUEUES	    5u
#define SCRIPTED_STATUS_LOG 32u
#define SCRIPTED_STATS_MAX  256u

struct scripted_balloon {
	struct virtio_device dev;
	struct ktest *t;

	/* The script: set before registering, or while it runs. */
	uint64_t offers; /* feature bits; VERSION_1 and the ring's too */
	bool refuses_features, stuck_in_reset, no_interrupts, config_keeps_changing;
	bool silent;	       /* takes buffers and never gives them back */
	bool forgets_status;   /* the status reads 0 */
	bool lies;	       /* answers with ids that it does not have */
	bool skips_interrupts; /* answers, but interrupts get lost */
	bool turns_round;      /* wants everything back as soon as the first buffer is inflated */
	uint32_t hold_back;    /* answers only when that many buffers wait, or when told to */
	unsigned int queue_size;

	/* What it saw. */
	uint8_t status;
	uint8_t status_log[SCRIPTED_STATUS_LOG];
	unsigned int nr_status;
	uint64_t accepted;
	uint32_t num_pages, actual, poison, generation, actual_writes;
	unsigned int faults, resets;
	uint64_t inflated_pages, reported_pages; /* now in the balloon by page number; ever reported */
	uint64_t inflated_ever, runs;		 /* pages by number or run; runs with F_SG */
	uint64_t biggest_buffer_pages;
	uint32_t hint_command, hint_ids[16], nr_hint_ids; /* in the configuration; told on the hint queue */
	uint64_t hinted_pages, hinted[64]; /* hinted: the first blocks' first pages, which were dropped */
	unsigned int nr_hinted;
	uint64_t *inflated; /* a bit per page */
	uint8_t stats[SCRIPTED_STATS_MAX];
	uint32_t stats_bytes, stats_buffers;
	bool has_stats;

	struct spinlock lock;
	struct ring_device rings[SCRIPTED_QUEUES];
	bool ready[SCRIPTED_QUEUES];
	struct ring_element element, stats_element, held[64];
	unsigned int held_queue[64], nr_held;
};

/* Not registered yet: set the script, then scripted_balloon_plug(). Taken away by the harness at the end. */
struct scripted_balloon *scripted_balloon(struct ktest *t, uint64_t features);
void scripted_balloon_plug(struct scripted_balloon *device);
/* The host wants @pages: writes the configuration and interrupts. */
void scripted_balloon_set_target(struct scripted_balloon *device, uint32_t pages);
/* A command of the free page hint queue: an id above 1, 0 (stop) or 1 (done). */
void scripted_balloon_command(struct scripted_balloon *device, uint32_t id);
/* Waits until `actual` reads @pages; false after @timeout_ns. */
bool scripted_balloon_reaches(struct scripted_balloon *device, uint32_t pages, uint64_t timeout_ns);
/* Gives the statistics buffer back: the host wants new ones. Waits for them; false after twenty seconds. */
bool scripted_balloon_ask_stats(struct scripted_balloon *device);
/* While it runs: answers only when @count buffers wait (0: at once); what waits already is not answered by that. */
void scripted_balloon_hold_back(struct scripted_balloon *device, uint32_t count);
void scripted_balloon_lie(struct scripted_balloon *device);
void scripted_balloon_fall_silent(struct scripted_balloon *device, bool silent, bool stuck_in_reset);
/* Answers what was held back. */
void scripted_balloon_answer(struct scripted_balloon *device);
/* The value of a tag in the statistics received last; UINT64_MAX: not there. */
uint64_t scripted_balloon_stat(const struct scripted_balloon *device, uint16_t tag);

/* Waits for what another thread brings about; false if it has not after twenty seconds. */
#define EVENTUALLY(condition)                                   \
	({                                                      \
		uint64_t _until = wait_deadline(20 * NS_PER_S); \
		while (!(condition) && time_ns() < _until)      \
			sleep_ns(NS_PER_MS);                    \
		(condition);                                    \
	})
