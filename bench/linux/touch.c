/* touch MIB: takes memory in huge pages where it can, writes a word to every page, ends. For the Linux guest. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

int main(int argc, char **argv)
{
	size_t bytes = argc > 1 ? strtoul(argv[1], NULL, 10) << 20 : 0;
	char *area = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (!bytes || area == MAP_FAILED) {
		fprintf(stderr, "touch: cannot have %zu bytes\n", bytes);
		return 1;
	}
	madvise(area, bytes, MADV_HUGEPAGE);
	for (size_t at = 0; at < bytes; at += 4096)
		*(volatile size_t *)(area + at) = at;
	return 0;
}
