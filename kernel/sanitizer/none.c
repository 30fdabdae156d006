/*
 * Where undefined behaviour is not looked for, none is found.
 */
#include "kernel/sanitizer.h"

void ubsan_init(void)
{
}

uint64_t ubsan_reports(void)
{
	return 0;
}

bool ubsan_set_warn(bool warn UNUSED)
{
	return false;
}
