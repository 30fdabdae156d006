hosted += $(addprefix tests/host/,console.c device.c lock_order_test.c main.c memory.c thread.c timer.c)
