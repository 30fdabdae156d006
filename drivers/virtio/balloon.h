/*
 * The memory balloon (virtio 1.2, clause 5.5): pages that the guest does without, so that the host may use them.
 *
 * Files: /proc/balloon (state and counters of every balloon), /sys/module/virtio_balloon/parameters/inflate
 * (auto, report, sg, pfn), reserve_mib (how much stays free beyond the watermarks) and poison (what free pages
 * hold, for PAGE_POISON; -1: that feature is declined).
 */
#pragma once

#include "drivers/virtio/virtio.h"

extern const struct virtio_driver balloon_driver;

/* Registers the files; before the devices are probed. 0 or -errno. */
int balloon_init(void) MUST_CHECK;
/* Every balloon page is in exactly one place, owned by the balloon, and counted. 0 or -EINVAL with a line per fault. */
int balloon_check(void) MUST_CHECK;
