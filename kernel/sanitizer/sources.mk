# The run-times themselves are not instrumented; nor are the memory functions, which check their whole range at once.
sanitizer_exempt := $(addprefix kernel/sanitizer/,kasan.c ubsan.c) lib/string.c
guest += $(addprefix kernel/sanitizer/,seeded.c $(if $(filter ubsan,$(MODE)),ubsan.c,none.c) $(if $(filter kasan,$(MODE)),kasan.c))
