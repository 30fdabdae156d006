/*
 * COM1, a 16550A with its 16-byte FIFOs. [National Semiconductor PC16550D]
 *
 * Output is polled. When the transmitter says "empty", its whole FIFO is: 16 bytes can be written without
 * asking again. That is right on real hardware, and under QEMU, where each access of the port is dear, it
 * saves half of them.
 *
 * Input goes through an interrupt into a ring. A full ring switches the interrupt off instead of dropping
 * bytes: then the port's FIFO fills, QEMU stops reading its end, and a host that sends a script has to wait;
 * the reader turns it on again. Without an interrupt, the reader polls.
 */
#include "drivers/serial.h"

#include "kernel/irq.h"
#include "kernel/panic.h"
#include "kernel/printk.h"
#include "kernel/spinlock.h"
#include "kernel/thread.h"
#include "kernel/time.h"
#include "kernel/wait.h"
#include "lib/errno.h"

#include <arch/cpu.h>
#include <arch/io.h>

#define COM1	 0x3f8
#define COM1_IRQ 4

/* Registers. */
#define UART_DATA	      0
#define UART_INTERRUPT_ENABLE 1
#define UART_FIFO_CONTROL     2 /* written */
#define UART_IDENTIFICATION   2 /* read */
#define UART_LINE_CONTROL     3
#define UART_MODEM_CONTROL    4
#define UART_LINE_STATUS      5
#define UART_SCRATCH	      7

#define INTERRUPT_RECEIVE  0x01
#define FIFO_ENABLE_CLEAR  0x07
#define FIFO_WORKS	   0xc0
#define LINE_8N1	   0x03
#define LINE_DIVISOR	   0x80
#define MODEM_DTR_RTS_OUT2 0x0b /* OUT2 lets the interrupt out of the chip */
#define STATUS_DATA_READY  0x01
#define STATUS_SENT	   0x20
#define FIFO_BYTES	   16

#define RING_BYTES 4096u /* a power of two */
#define POLL_NS	   (2 * NS_PER_MS)
#define CONTROL_C  3
/* A transmitter that stays busy so long has no clock: 10 ms at 9600 baud is 10 bytes. */
#define SEND_LIMIT 1000000u

static struct {
	bool present, interrupts, throttled;
	size_t fifo_bytes;
	struct spinlock lock; /* the ring and the interrupt enable */
	uint32_t head, tail;  /* bytes ever put in, ever taken out */
	uint8_t ring[RING_BYTES];
	struct wait_queue readers;
	void (*control_c)(void);
} serial = {.lock = SPINLOCK_INIT("serial"), .readers = WAIT_QUEUE_INIT(serial.readers)};

static uint8_t read_register(unsigned int number)
{
	return inb((uint16_t)(COM1 + number));
}

static void write_register(unsigned int number, uint8_t value)
{
	outb((uint16_t)(COM1 + number), value);
}

/* ---- output ---- */

static bool wait_until_sent(void)
{
	for (uint32_t turn = 0; turn < SEND_LIMIT; turn++) {
		if (read_register(UART_LINE_STATUS) & STATUS_SENT)
			return true;
		cpu_relax();
	}
	return false;
}

/* Bytes are put into FIFO-fulls; "\n" goes out as "\r\n". */
static void serial_write(struct console *console UNUSED, const char *text, size_t length)
{
	size_t room = 0;
	bool return_sent = false;

	for (size_t i = 0; i < length;) {
		bool add_return = text[i] == '\n' && !return_sent;

		if (room == 0) {
			if (!wait_until_sent())
				return;
			room = serial.fifo_bytes;
		}
		write_register(UART_DATA, add_return ? '\r' : (uint8_t)text[i]);
		room--;
		return_sent = add_return;
		i += !add_return;
	}
}

static struct console serial_console = {.name = "ttyS0", .write = serial_write};

static bool probe(void)
{
	write_register(UART_SCRATCH, 0x5a);
	if (read_register(UART_SCRATCH) != 0x5a)
		return false;
	write_register(UART_SCRATCH, 0xa5);
	return read_register(UART_SCRATCH) == 0xa5;
}

/* Switching the FIFO on clears it, and a host that sends a script has begun before we were there. */
static void keep_what_came_early(void)
{
	while (read_register(UART_LINE_STATUS) & STATUS_DATA_READY && serial.head < RING_BYTES)
		serial.ring[serial.head++] = read_register(UART_DATA);
}

void serial_init(void)
{
	serial.present = probe();
	if (!serial.present)
		return;
	write_register(UART_INTERRUPT_ENABLE, 0);
	write_register(UART_LINE_CONTROL, LINE_DIVISOR);
	write_register(UART_DATA, 1); /* 115200 baud */
	write_register(UART_INTERRUPT_ENABLE, 0);
	write_register(UART_LINE_CONTROL, LINE_8N1);
	keep_what_came_early();
	write_register(UART_FIFO_CONTROL, FIFO_ENABLE_CLEAR);
	write_register(UART_MODEM_CONTROL, MODEM_DTR_RTS_OUT2);
	serial.fifo_bytes = (read_register(UART_IDENTIFICATION) & FIFO_WORKS) == FIFO_WORKS ? FIFO_BYTES : 1;
	console_register(&serial_console);
}

/* ---- input ---- */

static void enable_receive(bool on)
{
	serial.throttled = !on;
	write_register(UART_INTERRUPT_ENABLE, on ? INTERRUPT_RECEIVE : 0);
}

static bool serial_interrupt(void *context UNUSED)
{
	unsigned long flags = spin_lock_irqsave(&serial.lock);
	uint32_t before = serial.head;
	bool control_c = false;

	while (serial.head - serial.tail < RING_BYTES && read_register(UART_LINE_STATUS) & STATUS_DATA_READY) {
		uint8_t byte = read_register(UART_DATA);

		control_c |= byte == CONTROL_C;
		serial.ring[serial.head++ % RING_BYTES] = byte;
	}
	if (serial.head - serial.tail == RING_BYTES && !serial.throttled)
		enable_receive(false);
	before = serial.head - before;
	spin_unlock_irqrestore(&serial.lock, flags);
	if (control_c && serial.control_c)
		serial.control_c();
	if (before)
		wake_up(&serial.readers);
	return before > 0;
}

void serial_use_interrupt(void)
{
	enum irq_trigger trigger;
	uint32_t gsi = irq_isa_line(COM1_IRQ, &trigger);
	unsigned long flags;
	int error;

	if (!serial.present)
		return;
	error = irq_request(gsi, trigger, serial_interrupt, NULL);
	if (error) {
		pr_warn("serial: no interrupt (line %u: %s), input is polled", gsi, error_name(error));
		return;
	}
	flags = spin_lock_irqsave(&serial.lock);
	serial.interrupts = true;
	enable_receive(true);
	spin_unlock_irqrestore(&serial.lock, flags);
}

/* The next byte of the ring, or -1. */
static int take_byte(void)
{
	unsigned long flags = spin_lock_irqsave(&serial.lock);
	int byte = -1;

	if (serial.head != serial.tail)
		byte = serial.ring[serial.tail++ % RING_BYTES];
	if (serial.throttled && serial.head - serial.tail <= RING_BYTES / 2)
		enable_receive(serial.interrupts);
	spin_unlock_irqrestore(&serial.lock, flags);
	return byte;
}

int serial_read(void)
{
	int byte = -1;

	while (!serial.present) /* nothing will ever be typed */
		sleep_ns(NS_PER_S);
	while (!serial.interrupts && (byte = take_byte()) < 0) {
		serial_interrupt(NULL);
		if (serial.head == serial.tail)
			sleep_ns(POLL_NS);
	}
	if (serial.interrupts)
		wait_event(&serial.readers, (byte = take_byte()) >= 0);
	return byte;
}

void serial_on_control_c(void (*hook)(void))
{
	serial.control_c = hook;
}
