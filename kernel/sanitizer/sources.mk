# The run-times themselves are not instrumented; nor are the memory functions, which check their whole range at once.
sanitizer_exempt += $(addprefix kernel/sanitizer/,kasan.c ubsan.c) lib/string.c
guest += $(addprefix kernel/sanitizer/,seeded.c $(if $(filter ubsan,$(MODE)),ubsan.c,none.c) $(if $(filter kasan,$(MODE)),kasan.c))
# Free objects are closed to all but the slabs, which keep their lists in them.
ifeq ($(MODE),kasan)
sanitizer_exempt += mm/slab.c
endif
