guest += $(addprefix init/,early_memory.c exit.c files.c main.c)
