/*
 * The EFI hand-over structure of any content.
 */
#include "tests/fuzz/boot_input.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	struct boot_input input = {data, bytes};
	static struct boot_info info;

	memset(&info, 0, sizeof(info));
	(void)!efi_parse(&info, INPUT_PHYS, input_map, &input);
	boot_info_must_become_sound(&info);
	return 0;
}
