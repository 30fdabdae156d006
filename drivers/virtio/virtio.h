/*
 * Virtio devices, whatever bus they are on: status, features, configuration, queues (virtio 1.2, clauses 2 and 3).
 *
 * A transport (PCI, MMIO, a test's scripted one) fills in a struct virtio_device and registers it; the core resets the
 * device, negotiates features in the order of clause 3.1.1 and hands it to the driver of its kind. A device that
 * breaks the rules is marked FAILED with one line and left alone; nothing else suffers.
 *
 * Locking: probing, removing and resetting are serialised by the core. Drivers serialise their own queue operations.
 */
#pragma once

#include "drivers/virtio/virtqueue.h"
#include "kernel/work.h"
#include "lib/format.h"
#include "lib/list.h"

#define VIRTIO_MAX_QUEUES 8

/* 2.1 */
#define VIRTIO_STATUS_ACKNOWLEDGE 0x01u
#define VIRTIO_STATUS_DRIVER	  0x02u
#define VIRTIO_STATUS_DRIVER_OK	  0x04u
#define VIRTIO_STATUS_FEATURES_OK 0x08u
#define VIRTIO_STATUS_NEEDS_RESET 0x40u
#define VIRTIO_STATUS_FAILED	  0x80u

/* 6: bits of the feature word that are no device's own. */
#define VIRTIO_F_ANY_LAYOUT	   27u /* legacy devices only */
#define VIRTIO_F_INDIRECT_DESC	   28u
#define VIRTIO_F_EVENT_IDX	   29u
#define VIRTIO_F_VERSION_1	   32u
#define VIRTIO_F_ACCESS_PLATFORM   33u
#define VIRTIO_F_RING_PACKED	   34u
#define VIRTIO_F_ORDER_PLATFORM	   36u
#define VIRTIO_F_NOTIF_CONFIG_DATA 39u

/* 5 */
#define VIRTIO_ID_BALLOON 5u

struct machine;
struct page;
struct virtio_device;

/*
 * What a bus must be able to do. Calls come from thread context, but notify, which may come with locks held. Nothing
 * read here is believed by the core without a check.
 */
struct virtio_transport_ops {
	const char *name;
	uint64_t features; /* bits of clause 6 that only this bus knows */
	uint8_t (*get_status)(struct virtio_device *dev);
	void (*set_status)(struct virtio_device *dev, uint8_t status);
	uint64_t (*get_features)(struct virtio_device *dev);
	void (*set_features)(struct virtio_device *dev, uint64_t features);
	/* A number that changes when the configuration did (2.5.1); 0 for ever where the bus has none. */
	uint32_t (*config_generation)(struct virtio_device *dev);
	/* @bytes is 1, 2 or 4; 0 and -EINVAL beyond the end of the configuration. */
	int (*read_config)(struct virtio_device *dev, unsigned int offset, void *to, unsigned int bytes);
	int (*write_config)(struct virtio_device *dev, unsigned int offset, const void *from, unsigned int bytes);
	/* The most descriptors that this queue can have; 0: there is no such queue. */
	unsigned int (*queue_size)(struct virtio_device *dev, unsigned int index);
	/* Tells the device where the queue is, and enables it. 0 or -errno. */
	int (*queue_enable)(struct virtio_device *dev, unsigned int index, struct virtqueue *vq);
	void (*notify)(struct virtio_device *dev, unsigned int index);
	/* Before the queues are enabled. -errno: there are none, the core polls. Disabled on return of the second. */
	int (*interrupts_enable)(struct virtio_device *dev);
	void (*interrupts_disable)(struct virtio_device *dev);
	/* What /proc shows of it: "0000:00:03.0 INTx 11". */
	void (*describe)(struct virtio_device *dev, struct sink *out);
};

struct virtio_driver {
	const char *name;
	uint32_t device_id;
	uint64_t features; /* those of the device's own that it can drive */
	/* NULL, or takes features away that this device should not be driven with. */
	uint64_t (*choose_features)(struct virtio_device *dev, uint64_t features);
	/*
	 * Features are agreed. Sets up the queues, calls virtio_device_ready(), begins. On an error the core marks
	 * the device FAILED; the driver has undone its own things but for the queues. May sleep.
	 */
	int (*probe)(struct virtio_device *dev);
	/* The device may still be running: stop using it, virtio_device_reset(), then take back what it had. */
	void (*remove)(struct virtio_device *dev);
	/* NULL, or the configuration may have changed. From a work item or a poll: may sleep. */
	void (*config_changed)(struct virtio_device *dev);
};

struct virtio_device {
	struct list_node node;
	uint32_t index; /* "virtio<index>" */
	char name[16];
	uint32_t device_id, vendor_id;
	const struct virtio_transport_ops *transport;
	bool legacy;		    /* clause 2.4's old interface: no FEATURES_OK, rings at page numbers */
	uint64_t offered, features; /* of the device; agreed on */
	const struct virtio_driver *driver;
	void *driver_data;
	uint8_t status; /* bits that were set since the last reset: what the device says of them is not believed */
	bool ready, broken;
	bool breaking; /* private to virtio.c: somebody is at it, or was */
	bool polled;   /* no interrupts: the core looks every 10 ms */
	unsigned int nr_queues;
	struct virtqueue *queues[VIRTIO_MAX_QUEUES]; /* NULL: not set up */
	struct page *queue_pages[VIRTIO_MAX_QUEUES];
	uint8_t queue_orders[VIRTIO_MAX_QUEUES];
	struct work config_work;
	struct delayed_work poll;
	uint64_t timeout_ns; /* for a reset and for answers of a queue; 0: the defaults */
	uint64_t interrupts, config_interrupts;
};

struct virtio_queue_request {
	const char *name;		    /* NULL: this queue is not set up, its place stays empty */
	unsigned int most_descriptors;	    /* 0: as many as the device allows (up to 1024) */
	unsigned int tables;		    /* indirect tables to set aside, if negotiated */
	void (*used)(struct virtqueue *vq); /* from interrupts: wake somebody. Owner of @vq is the device. */
};

/* ---- for transports ---- */

/*
 * Takes charge of a device whose transport, device_id and vendor_id are set; probes it if a driver is known. An error
 * of the device is not one of the call: 0 unless memory is short. May sleep.
 */
int virtio_register_device(struct virtio_device *dev) MUST_CHECK;
/* Removes and forgets it. */
void virtio_unregister_device(struct virtio_device *dev);
/* From interrupt handlers. */
void virtio_queue_interrupt(struct virtio_device *dev);
void virtio_config_interrupt(struct virtio_device *dev);

/* ---- for drivers ---- */

static inline bool virtio_has_feature(const struct virtio_device *dev, unsigned int bit)
{
	return dev->features >> bit & 1;
}
/* Allocates, creates and enables queues 0..@count-1. 0, -ENOENT (the device lacks one), -ENOMEM, -EIO. */
int virtio_setup_queues(struct virtio_device *dev, const struct virtio_queue_request *requests,
			unsigned int count) MUST_CHECK;
/* DRIVER_OK: the device may use its queues from now on, and interrupt. */
void virtio_device_ready(struct virtio_device *dev);
/* A 32-bit field of the configuration; 0 if it lies beyond its end. The same value is read twice running (2.5.1). */
uint32_t virtio_config_read32(struct virtio_device *dev, unsigned int offset);
void virtio_config_write32(struct virtio_device *dev, unsigned int offset, uint32_t value);
/* Status 0, and waits until it reads 0; interrupts are off on return. False: it did not come back in time. */
bool virtio_device_reset(struct virtio_device *dev);
/* Frees the queues; only after a reset. Drivers detach their tokens before. */
void virtio_free_queues(struct virtio_device *dev);
/* Marks it FAILED and breaks its queues; one line. Not from interrupts. */
void virtio_device_break(struct virtio_device *dev, const char *why);

/* ---- for everybody ---- */

/*
 * Registers /proc/virtio and the parameters in /sys/module/virtio/parameters/: poll (1: use no interrupts), packed
 * (0: decline packed rings) and checked (1: a driver's misuse of a queue is an assertion; the default in debug builds).
 * Once, before any transport.
 */
int virtio_init(void) MUST_CHECK;
bool virtio_wants_poll(void);
bool virtio_wants_packed(void);
bool virtio_wants_checked(void);
/* Drivers are found in this table, NULL-terminated (drivers/virtio/virtio_drivers.c; tests bring their own). */
extern const struct virtio_driver *const virtio_drivers[];
struct list_node *virtio_devices(void);
struct virtio_device *virtio_find_device(const char *name);
/* Takes the driver off, resets the device, probes it anew. 0 or -errno (-EIO: it did not come up again). */
int virtio_reprobe(struct virtio_device *dev) MUST_CHECK;
/* The same with @driver instead of the table's: for tests and measurements. virtio_reprobe() gives it back. */
int virtio_probe_with(struct virtio_device *dev, const struct virtio_driver *driver) MUST_CHECK;
/* A line per device: name, kind, transport, status, features, queues. */
void virtio_show(struct sink *out);

/* Notes the devices that the command line names, before cmdline_apply() complains about them. */
void virtio_mmio_find(const struct machine *machine);
/* Transports: each registers its devices; how many. */
unsigned int virtio_pci_probe(void);
unsigned int virtio_mmio_probe(void);
