/*
 * The device behind fw_cfg.c: the real one (fw_cfg_port.c), or a test's.
 */
#pragma once

#include "drivers/fw_cfg.h"

#define FW_CFG_SIGNATURE 0x0000
#define FW_CFG_ID	 0x0001
#define FW_CFG_NR_CPUS	 0x0005
#define FW_CFG_DIRECTORY 0x0019

#define FW_CFG_HAS_DMA 2u /* in the ID */

/* Reads [@offset, @offset + @bytes) of item @key; beyond its end the device gives zeros. 0 or -EIO. */
typedef int (*fw_cfg_access)(uint16_t key, uint32_t offset, void *buffer, uint32_t bytes);

/* As fw_cfg_init(), on a given device. */
int fw_cfg_open(fw_cfg_access port, fw_cfg_access dma);
/* No device, no directory. */
void fw_cfg_close(void);
