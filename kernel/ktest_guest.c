/*
 * Which world the tests run in: this file is linked into the guest, tests/host/console.c into the hosted build.
 */
#include "kernel/ktest.h"

bool ktest_hosted(void)
{
	return false;
}
