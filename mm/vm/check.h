/*
 * The books of all address spaces at once, against the LRU lists.
 */
#pragma once

#include "lib/compiler.h"

/*
 * Every page that address spaces map and every page on an LRU list, of all of both: it is on a list if it may be there
 * and on none if not (device memory never is), as many entries map it as it says, and each of its references is
 * explained: by an entry, or by the page cache. What belongs to no space and no file must not be there at all.
 *
 * Nobody uses address spaces or files meanwhile, and nobody holds pages of theirs; daemons wait. May sleep. 0, -ENOMEM,
 * or -EINVAL with a line per fault (the first few).
 */
int vm_check(void) MUST_CHECK;
