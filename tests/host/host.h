/*
 * The hosted world's own controls, for main.c and for tests that need the host (fault injection, expected panics).
 */
#pragma once

#include "lib/compiler.h"

/* Console on standard output, the arena, the clock. Before anything else. */
void host_init(void);

/* The @nth allocation from now on fails (1: the next), once; 0: none. Allocations since the last call. */
uint64_t host_fail_allocation(uint64_t nth);
/* Pages that others than the allocator itself ask it for count as allocations, too, from now on, or not. */
void host_fail_pages(bool too);
/* Allocations that were not freed. */
uint64_t host_live_allocations(void);

/* Runs @run(@argument) in a child process: true if it panicked and its output contains @text. */
bool host_panics(void (*run)(void *argument), void *argument, const char *text);

/* Delivers a message as a device would; what the handler said, false if there is none. See tests/host/device.c. */
bool host_interrupt(uint64_t address, uint32_t data);
unsigned int host_vectors_in_use(void);
/* The line goes active, once: whether a handler said that it was its device's. */
bool host_line(uint32_t gsi);

/* The machine's PCI devices are those of @devices; NULL: there are none. */
struct list_node;
void host_pci_devices(struct list_node *devices);
