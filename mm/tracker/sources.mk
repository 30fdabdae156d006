both += $(addprefix mm/tracker/,bitmap.c freelist.c)
