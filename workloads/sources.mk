# In the guest once mm/ is.
hosted += $(addprefix workloads/,run.c touch.c)
