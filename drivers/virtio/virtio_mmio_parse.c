/*
 * See virtio_mmio_parse.h. The form is the one that QEMU's microvm puts on the command line for Linux.
 */
#include "drivers/virtio/virtio_mmio_parse.h"

#include "lib/errno.h"
#include "lib/parse.h"
#include "lib/string.h"

int virtio_mmio_parse(const char *text, struct machine_virtio_mmio *place)
{
	char copy[64], *address, *gsi, *rest;
	struct machine_virtio_mmio found;
	uint64_t line;

	if (string_copy(copy, text, sizeof(copy)) < 0)
		return -EINVAL;
	address = strchr(copy, '@');
	gsi = address ? strchr(address, ':') : NULL;
	if (!gsi)
		return -EINVAL;
	*address++ = '\0';
	*gsi++ = '\0';
	rest = strchr(gsi, ':'); /* an id, which nobody needs */
	if (rest)
		*rest = '\0';
	if (parse_size(copy, &found.bytes) || parse_u64(address, &found.address) || parse_u64(gsi, &line))
		return -EINVAL;
	if (found.bytes < MACHINE_VIRTIO_MMIO_LEAST || found.address + found.bytes < found.address || line > UINT32_MAX)
		return -EINVAL;
	found.gsi = (uint32_t)line;
	*place = found;
	return 0;
}
