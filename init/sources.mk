guest += init/main.c
