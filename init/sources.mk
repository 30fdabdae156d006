guest += $(addprefix init/,exit.c files.c main.c memory.c script.c)
