/*
 * kmalloc: every size comes aligned, does not overlap, and goes back. In the guest this is mm/kmalloc.c.
 */
#include "kernel/ktest.h"
#include "kernel/memory.h"
#include "lib/string.h"
#include "mm/page_alloc.h"

KTEST(kmalloc, sizes_from_one_byte_to_the_largest_block)
{
	for (size_t bytes = 1; bytes <= MIB(4); bytes = bytes * 3 / 2 + 1) {
		char *first = kmalloc(bytes), *second = kzalloc(bytes);

		REQUIRE(t, first && second);
		EXPECT(t, IS_ALIGNED((uintptr_t)first, 16u) && IS_ALIGNED((uintptr_t)second, 16u));
		memset(first, 0xa5, bytes);
		EXPECT(t, second[0] == 0 && second[bytes - 1] == 0);
		memset(second, 0x5a, bytes);
		EXPECT(t, first[0] == (char)0xa5 && first[bytes - 1] == (char)0xa5);
		kfree(second);
		kfree(first);
	}
	kfree(NULL);
	EXPECT_OK(t, memory_check());
}

KTEST(kmalloc, strings_are_copied)
{
	char *copy = kstrdup("ballonet"), *atomic = kmalloc_atomic(100);

	REQUIRE(t, copy && atomic);
	EXPECT_STR(t, copy, "ballonet");
	kfree(copy);
	kfree(atomic);
}
