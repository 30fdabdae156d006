hosted += $(addprefix tests/host/,console.c main.c memory.c thread.c)
