/*
 * Taking entries away, and the pages behind them, once no CPU can reach them any more.
 */
#pragma once

#include "mm/vm/tables.h"

/* Empties [start, end), which lies in @area. Under mm->lock. Never fails. */
void zap_range(struct mm *mm, struct area *area, uint64_t start, uint64_t end);

/*
 * For who replaces single entries: @old was taken out of the tables and flushed: the page behind it is counted out and
 * put. Under table_lock.
 */
void zap_old_entry(struct mm *mm, struct area *area, uint64_t address, uint64_t old);
