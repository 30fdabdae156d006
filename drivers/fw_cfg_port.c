/*
 * The device's registers: a selector and a byte of data at 0x510, the address of a DMA request at 0x514.
 *
 * A DMA request lies in memory and is started by writing its address; the device works on it within that
 * write. Memory that is not contiguous in the direct map or the image (a stack) is read by port instead.
 */
#include "arch/x86_64/paging.h"
#include "drivers/fw_cfg_internal.h"
#include "lib/atomic.h"
#include "lib/errno.h"

#include <arch/io.h>
#include <arch/page.h>

#define PORT_SELECT 0x510
#define PORT_DATA   0x511
#define PORT_DMA    0x514 /* upper half, then lower; big-endian */

#define DMA_ERROR  1u
#define DMA_READ   2u
#define DMA_SKIP   4u
#define DMA_SELECT 8u

/* All big-endian. */
struct dma_request {
	uint32_t control, bytes;
	uint64_t address;
};

static int port_access(uint16_t key, uint32_t offset, void *buffer, uint32_t bytes)
{
	uint8_t *at = buffer;

	outw(PORT_SELECT, key);
	while (offset--)
		inb(PORT_DATA);
	while (bytes--)
		*at++ = inb(PORT_DATA);
	return 0;
}

static uint64_t physical(const void *address)
{
	uint64_t virt = (uint64_t)address;

	if (virt >= KERNEL_BASE)
		return image_to_phys(address);
	if (virt >= DIRECT_MAP_BASE && virt < PAGE_STRUCT_BASE)
		return virt_to_phys(address);
	return 0;
}

static int run(uint32_t control, uint32_t bytes, uint64_t address)
{
	static struct dma_request request;
	uint64_t at = physical(&request);

	request.bytes = __builtin_bswap32(bytes);
	request.address = __builtin_bswap64(address);
	store_release(&request.control, __builtin_bswap32(control));
	outl(PORT_DMA, __builtin_bswap32((uint32_t)(at >> 32)));
	outl(PORT_DMA + 4, __builtin_bswap32((uint32_t)at));
	while (load_acquire(&request.control) & ~__builtin_bswap32(DMA_ERROR))
		;
	return request.control ? -EIO : 0;
}

static int dma_access(uint16_t key, uint32_t offset, void *buffer, uint32_t bytes)
{
	uint64_t address = physical(buffer);
	int error;

	if (!address)
		return port_access(key, offset, buffer, bytes);
	error = run((uint32_t)key << 16 | DMA_SELECT | (offset ? DMA_SKIP : 0), offset, 0);
	return error ? error : run(DMA_READ, bytes, address);
}

int fw_cfg_init(void)
{
	return fw_cfg_open(port_access, dma_access);
}
