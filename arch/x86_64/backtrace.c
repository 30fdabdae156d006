/*
 * Walking the calling chain, and showing registers.
 *
 * All code is built with frame pointers: at [rbp] is the caller's rbp, above it the return address. The chain may be
 * damaged, so each word is read with arch_read_safely() and must look right: frames are aligned, return addresses
 * are in the kernel's text. A chain that turns in circles ends at the caller's limit.
 */
#include "arch/x86_64/msr.h"
#include "arch/x86_64/percpu_internal.h"
#include "kernel/panic.h"

#include <arch/panic.h>

extern char image_start[], text_end[];

static bool in_text(uint64_t address)
{
	return address >= (uint64_t)image_start && address < (uint64_t)text_end;
}

static size_t walk(uint64_t rbp, uint64_t *addresses, size_t max)
{
	uint64_t return_address, next;
	size_t count = 0;

	while (count < max && IS_ALIGNED(rbp, 8) && arch_read_safely(rbp, &next) &&
	       arch_read_safely(rbp + 8, &return_address) && in_text(return_address)) {
		addresses[count++] = return_address;
		if (next == rbp)
			break;
		rbp = next;
	}
	return count;
}

/* In the text, and behind a call: e8 and four bytes, or ff with 2 in the middle of its second byte. */
static bool is_return_address(uint64_t address)
{
	static const uint8_t indirect_lengths[] = {2, 3, 6, 7};
	uint64_t before;
	const uint8_t *bytes = (const uint8_t *)&before;

	if (!in_text(address) || !arch_read_safely(address - 8, &before))
		return false;
	for (size_t i = 0; i < sizeof(indirect_lengths); i++) {
		const uint8_t *call = bytes + 8 - indirect_lengths[i];

		if (call[0] == 0xff && (call[1] & 0x38) == 0x10)
			return true;
	}
	return bytes[3] == 0xe8;
}

/*
 * From where the exception was. Where it was may have no frame yet, or never get one (a jump to nowhere; the compiler
 * makes none for small functions that call nobody): then its caller is on top of the stack, and not in the chain.
 */
static size_t walk_from_trap(const struct trap_frame *frame, uint64_t *addresses, size_t max)
{
	uint64_t top, next_in_chain;
	size_t count = 0;

	if (count < max)
		addresses[count++] = frame->rip;
	if (count < max && arch_read_safely(frame->rsp, &top) && is_return_address(top) &&
	    !(arch_read_safely(frame->rbp + 8, &next_in_chain) && next_in_chain == top))
		addresses[count++] = top;
	return count + walk(frame->rbp, addresses + count, max - count);
}

size_t arch_backtrace(uint64_t frame_pointer, uint64_t *addresses, size_t max)
{
	const struct trap_frame *trap = this_cpu_block()->trap;

	if (frame_pointer)
		return walk(frame_pointer, addresses, max);
	if (trap)
		return walk_from_trap(trap, addresses, max);
	return walk((uint64_t)__builtin_frame_address(0), addresses, max);
}

void arch_show_registers(struct sink *out)
{
	const struct trap_frame *at = this_cpu_block()->trap;
	char where[64];

	if (!at)
		return;
	sink_printf(out, "at %s, exception %lu, error %#lx\n", symbol_format(where, sizeof(where), at->rip), at->vector,
		    at->error);
	sink_printf(out, "rip %016lx  rsp %016lx  rbp %016lx  rfl %016lx\n", at->rip, at->rsp, at->rbp, at->rflags);
	sink_printf(out, "rax %016lx  rbx %016lx  rcx %016lx  rdx %016lx\n", at->rax, at->rbx, at->rcx, at->rdx);
	sink_printf(out, "rsi %016lx  rdi %016lx  r8  %016lx  r9  %016lx\n", at->rsi, at->rdi, at->r8, at->r9);
	sink_printf(out, "r10 %016lx  r11 %016lx  r12 %016lx  r13 %016lx\n", at->r10, at->r11, at->r12, at->r13);
	sink_printf(out, "r14 %016lx  r15 %016lx  cr2 %016lx  cr3 %016lx\n", at->r14, at->r15, read_cr2(), read_cr3());
}
