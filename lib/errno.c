/*
 * Names of error numbers, for messages: found by number in a table whose index is the number.
 */
#include "lib/errno.h"

#define NAME(error) [error] = "-" #error

static const char *const names[] = {
	NAME(EPERM),	  NAME(ENOENT),	   NAME(EINTR),	    NAME(EIO),	     NAME(ENXIO),	 NAME(E2BIG),
	NAME(ENOEXEC),	  NAME(EAGAIN),	   NAME(ENOMEM),    NAME(EACCES),    NAME(EFAULT),	 NAME(EBUSY),
	NAME(EEXIST),	  NAME(ENODEV),	   NAME(ENOTDIR),   NAME(EISDIR),    NAME(EINVAL),	 NAME(EFBIG),
	NAME(ENOSPC),	  NAME(ERANGE),	   NAME(EPROTO),    NAME(ENOTEMPTY), NAME(ENAMETOOLONG), NAME(EOVERFLOW),
	NAME(EOPNOTSUPP), NAME(ETIMEDOUT), NAME(ECANCELED),
};

const char *error_name(int error)
{
	/* Not -error, which overflows for the smallest number. */
	unsigned int number = error < 0 ? 0u - (unsigned int)error : (unsigned int)error;

	if (number == 0)
		return "0";
	if (number >= ARRAY_SIZE(names) || !names[number])
		return "error";
	return names[number];
}
