/*
 * The local timer of a CPU: what scheduler.h's arch_timer_set() stands on.
 */
#pragma once

/* On each CPU once: one-shot or TSC deadline, nothing pending. */
void timer_init_cpu(void);
/* From the timer interrupt: the deadline has been used up. */
void timer_expired(void);
