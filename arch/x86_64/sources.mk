guest += $(addprefix arch/x86_64/,boot/start.S boot/boot.c)
