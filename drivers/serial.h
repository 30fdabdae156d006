/*
 * The serial console: COM1, a 16550A. Guest only.
 */
#pragma once

#include "lib/compiler.h"

/* Sets the port up and registers it as a console. Output is polled. Without a port nothing happens. */
void serial_init(void);
/* From now on what is received is kept by an interrupt; until then, and if this fails, serial_read() polls.
 */
void serial_use_interrupt(void);
/* The next byte typed. Sleeps until there is one. */
int serial_read(void);
/* @hook runs (in interrupt context) when Ctrl-C arrives; the byte is delivered as well. */
void serial_on_control_c(void (*hook)(void));
