/*
 * Multiboot2 boot information of any content.
 */
#include "tests/fuzz/boot_input.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	uint8_t *copy = malloc(bytes ? bytes : 1);
	struct boot_input input = {copy, bytes};
	static struct boot_info info;
	uint32_t length = (uint32_t)bytes;

	MUST(copy);
	memcpy(copy, data, bytes);
	/* The reserved word says whether the length is put right, so that the tags are reached. */
	if (bytes >= 8 && copy[4] % 2)
		memcpy(copy, &length, sizeof(length));
	memset(&info, 0, sizeof(info));
	(void)!multiboot2_parse(&info, INPUT_PHYS, input_map, &input);
	boot_info_must_become_sound(&info);
	free(copy);
	return 0;
}
