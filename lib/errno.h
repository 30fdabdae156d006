/*
 * Error numbers (Linux's values: they show in messages and files) and pointers that carry one.
 */
#pragma once

#include "lib/compiler.h"

#define EPERM	     1
#define ENOENT	     2
#define EINTR	     4
#define EIO	     5
#define ENXIO	     6
#define E2BIG	     7
#define ENOEXEC	     8
#define EAGAIN	     11
#define ENOMEM	     12
#define EACCES	     13
#define EFAULT	     14
#define EBUSY	     16
#define EEXIST	     17
#define ENODEV	     19
#define ENOTDIR	     20
#define EISDIR	     21
#define EINVAL	     22
#define EFBIG	     27
#define ENOSPC	     28
#define ERANGE	     34
#define ENAMETOOLONG 36
#define ENOTEMPTY    39
#define EPROTO	     71
#define EOVERFLOW    75
#define EOPNOTSUPP   95
#define ETIMEDOUT    110
#define ECANCELED    125

#define MAX_ERRNO 4095

static inline void *ERR_PTR(long error)
{
	return (void *)error;
}

static inline long PTR_ERR(const void *ptr)
{
	return (long)ptr;
}

static inline bool IS_ERR(const void *ptr)
{
	return (unsigned long)ptr >= (unsigned long)-MAX_ERRNO;
}

/* "-EINVAL" for -22 or 22; "0" for 0; "error" for a number without a name. */
const char *error_name(int error);
