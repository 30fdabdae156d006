/*
 * QEMU's firmware configuration device: named files from the host (-fw_cfg name=opt/...,file=...) and a few
 * numbers.
 *
 * Reads go by DMA where the device offers it, by port otherwise. Names and sizes come from the host and are
 * checked. Not for interrupts; callers are serialised here.
 */
#pragma once

#include "lib/compiler.h"

#define FW_CFG_SCRIPT "opt/ballonet/script" /* shell lines, run at boot */

/* Looks for the device: no allocation, callable before there is memory. 0, or -ENODEV. */
int fw_cfg_init(void) MUST_CHECK;
/* CPUs that the machine has; 0 if there is no device. After fw_cfg_init(). */
unsigned int fw_cfg_nr_cpus(void);
/* The size of a file in bytes, or -ENOENT, -ENODEV. */
long fw_cfg_size(const char *name);
/* The first @size bytes of a file; how many there were, or -ENOENT, -ENODEV, -EIO (the transfer failed). */
long fw_cfg_read(const char *name, void *buffer, size_t size) MUST_CHECK;
/* Up to @size bytes from @offset on. */
long fw_cfg_read_at(const char *name, uint64_t offset, void *buffer, size_t size) MUST_CHECK;
/* /sys/firmware/qemu_fw_cfg/by_name/<name>/{raw,size}, rev. 0, -ENODEV or -ENOMEM. */
int fw_cfg_files_init(void) MUST_CHECK;
