/*
 * Exceptions: every one of them is a bug, and the panic says which kind in words.
 *
 * The only exceptions that are expected are the fault of arch_read_safely(), which walks of damaged stacks use, and
 * page faults of the accessors to address spaces (mmu.c). For all others the frame is kept in the per-CPU block, so
 * that the panic can show registers and begin its backtrace where it happened, and the reason is worked out from the
 * vector, the error code and the address.
 */
#include "arch/x86_64/trap.h"

#include "arch/x86_64/boot/boot.h"
#include "arch/x86_64/mmu.h"
#include "arch/x86_64/msr.h"
#include "arch/x86_64/percpu_internal.h"
#include "arch/x86_64/stop.h"
#include "kernel/panic.h"
#include "kernel/thread.h"

#include <arch/page.h>
#include <arch/panic.h>

#define NR_VECTORS     256
#define STUB_BYTES     16
#define GATE_INTERRUPT 0x8e /* present, ring 0, interrupts off at entry */
/* A fault this near to the stack pointer is the stack's own: the largest frame a function may have, generously. */
#define STACK_GUARD_REACH   (2 * PAGE_SIZE)
#define PAGE_FAULT_PRESENT  1u
#define PAGE_FAULT_WRITE    2u
#define PAGE_FAULT_RESERVED 8u
#define PAGE_FAULT_FETCH    16u

struct gate {
	uint16_t offset_low, selector;
	uint8_t ist, type;
	uint16_t offset_middle;
	uint32_t offset_high, reserved;
};

static struct gate idt[NR_VECTORS];

extern char trap_stubs[], read_safely_access[], read_safely_fault[];

void trap_init(void)
{
	static const uint8_t ist_of[] = {
		[VECTOR_NMI] = IST_NMI,
		[VECTOR_DOUBLE_FAULT] = IST_DOUBLE_FAULT,
		[VECTOR_MACHINE_CHECK] = IST_MACHINE_CHECK,
	};

	for (unsigned int vector = 0; vector < NR_VECTORS; vector++) {
		uint64_t stub = (uint64_t)trap_stubs + vector * STUB_BYTES;

		idt[vector] = (struct gate){
			.offset_low = (uint16_t)stub,
			.selector = SELECTOR_CODE,
			.ist = vector < sizeof(ist_of) ? ist_of[vector] : 0,
			.type = GATE_INTERRUPT,
			.offset_middle = (uint16_t)(stub >> 16),
			.offset_high = (uint32_t)(stub >> 32),
		};
	}
}

void trap_load(void)
{
	const struct {
		uint16_t limit;
		uint64_t base;
	} PACKED pointer = {sizeof(idt) - 1, (uint64_t)idt};

	__asm__ volatile("lidt %0" ::"m"(pointer));
}

static const char *exception_name(uint64_t vector)
{
	static const char *const names[] = {
		"divide error",
		"debug exception",
		"NMI",
		"breakpoint",
		"overflow",
		"bound exceeded",
		"invalid opcode",
		"no FPU",
		"double fault",
		"FPU segment",
		"invalid TSS",
		"segment not present",
		"stack segment fault",
		"general protection",
		"page fault",
		"exception 15",
		"FPU error",
		"misaligned access",
		"machine check",
		"SIMD error",
		"virtualisation exception",
		"control protection",
	};

	return vector < ARRAY_SIZE(names) ? names[vector] : "unknown exception";
}

static bool is_canonical(uint64_t address)
{
	return (int64_t)(address << 16) >> 16 == (int64_t)address;
}

static bool in_guard_page(uint64_t address)
{
	return (address >= STACK_AREA_BASE && address < KASAN_SHADOW_BASE) ||
	       (address >= (uint64_t)boot_stack_guard && address < (uint64_t)boot_stack_bottom);
}

/* In the guard page, by a push or a local variable rather than by a stray pointer. */
static bool is_stack_overflow(const struct trap_frame *frame, uint64_t address)
{
	uint64_t distance = address > frame->rsp ? address - frame->rsp : frame->rsp - address;

	return in_guard_page(address) && distance < STACK_GUARD_REACH;
}

static const char *current_name(void)
{
	return percpu_thread() ? thread_name(percpu_thread()) : "boot";
}

static NORETURN void page_fault(const struct trap_frame *frame, uint64_t address)
{
	uint64_t error = frame->error;
	const char *access = error & PAGE_FAULT_FETCH ? "execute" : error & PAGE_FAULT_WRITE ? "write" : "read";

	if (is_stack_overflow(frame, address))
		panic("stack overflow in thread \"%s\": guard page hit at %#lx", current_name(), address);
	if (in_guard_page(address))
		panic("%s of %#lx, in the guard page of a stack or in no stack", access, address);
	if (error & PAGE_FAULT_RESERVED)
		panic("page tables damaged: reserved bits set on the way to %#lx", address);
	if (address < PAGE_SIZE && error & PAGE_FAULT_FETCH)
		panic("call of a NULL function pointer (jump to %#lx)", address);
	if (address < PAGE_SIZE)
		panic("NULL pointer access: %s of %#lx", access, address);
	if (error & PAGE_FAULT_FETCH)
		panic("execute of %#lx, which is %s", address, error & PAGE_FAULT_PRESENT ? "data" : "not mapped");
	if (error & PAGE_FAULT_PRESENT)
		panic("%s of %#lx, which is read-only", access, address);
	panic("%s of %#lx, which is not mapped", access, address);
}

/* The CPU does not tell the address; a register that holds none that is possible is the likely one. */
static NORETURN void general_protection(const struct trap_frame *frame)
{
	static const char *const names[] = {"r15", "r14", "r13", "r12", "r11", "r10", "r9", "r8",
					    "rbp", "rdi", "rsi", "rdx", "rcx", "rbx", "rax"};
	const uint64_t *registers = &frame->r15;

	if (!is_canonical(frame->rip))
		panic("jump to %#lx, a non-canonical address", frame->rip);
	for (size_t i = 0; frame->error == 0 && i < ARRAY_SIZE(names); i++)
		if (!is_canonical(registers[i]))
			panic("general protection: probably an access to %#lx in %s, a non-canonical address",
			      registers[i], names[i]);
	panic("general protection, error %#lx", frame->error);
}

static NORETURN void double_fault(const struct trap_frame *frame)
{
	uint64_t address = read_cr2();

	if (is_stack_overflow(frame, address))
		panic("stack overflow in thread \"%s\": guard page hit at %#lx (double fault)", current_name(),
		      address);
	panic("double fault; the last page fault was at %#lx", address);
}

static NORETURN void exception(struct trap_frame *frame)
{
	struct cpu_block *block = this_cpu_block();

	/* A fault while showing a fault: the first one is the interesting one. */
	if (!block->trap)
		block->trap = frame;
	switch (frame->vector) {
	case VECTOR_PAGE_FAULT:
		page_fault(frame, read_cr2());
	case VECTOR_GENERAL:
		general_protection(frame);
	case VECTOR_DOUBLE_FAULT:
		double_fault(frame);
	default:
		panic("%s (exception %lu, error %#lx)", exception_name(frame->vector), frame->vector, frame->error);
	}
}

void trap_dispatch(struct trap_frame *frame)
{
	if (likely(frame->vector >= VECTOR_FIRST_EXTERNAL)) {
		interrupt_dispatch((uint8_t)frame->vector);
	} else if (frame->rip == (uint64_t)read_safely_access &&
		   (frame->vector == VECTOR_PAGE_FAULT || frame->vector == VECTOR_GENERAL)) {
		frame->rip = (uint64_t)read_safely_fault;
	} else if (frame->vector != VECTOR_PAGE_FAULT || !mmu_fault(frame)) {
		if (frame->vector == VECTOR_NMI)
			stop_if_asked(frame);
		exception(frame);
	}
}
