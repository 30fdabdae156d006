both += $(addprefix mm/policy/,policy.c vanilla.c nofragment.c boost.c stall.c defrag.c)
