/*
 * Files of address spaces: settings.
 */
#include "mm/vm/files.h"

#include "mm/vm/huge.h"

int vm_files_init(void)
{
	return huge_files_init();
}
