hosted += $(addprefix drivers/,acpi.c acpi_tables.c)
