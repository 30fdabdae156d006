both += $(addprefix lib/,bitmap.c errno.c format.c parse.c rand.c sort.c sparse_bitmap.c string_util.c)
guest += lib/string.c
