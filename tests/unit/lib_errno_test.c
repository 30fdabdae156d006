/*
 * Names of errors: ours, nobody's, and the number that has no positive.
 */
#include "kernel/ktest.h"
#include "lib/string.h"

KTEST(lib_errno, names)
{
	EXPECT_STR(t, error_name(0), "0");
	EXPECT_STR(t, error_name(-EINVAL), "-EINVAL");
	EXPECT_STR(t, error_name(22), "-EINVAL");
	EXPECT_STR(t, error_name(-ETIMEDOUT), "-ETIMEDOUT");
	EXPECT_STR(t, error_name(-EPERM), "-EPERM");
	EXPECT_STR(t, error_name(-ECANCELED), "-ECANCELED");
	EXPECT_STR(t, error_name(3), "error");
	EXPECT_STR(t, error_name(100000), "error");
	EXPECT_STR(t, error_name(INT32_MIN), "error");
}

KTEST(lib_errno, pointers_carry_errors)
{
	int object;

	EXPECT(t, IS_ERR(ERR_PTR(-EIO)));
	EXPECT_EQ(t, PTR_ERR(ERR_PTR(-EIO)), -EIO);
	EXPECT(t, IS_ERR(ERR_PTR(-MAX_ERRNO)));
	EXPECT(t, !IS_ERR(ERR_PTR(-MAX_ERRNO - 1)));
	EXPECT(t, !IS_ERR(&object));
	EXPECT(t, !IS_ERR(NULL));
}
