/*
 * The matrix of kinds and consumers is the one that the design asks for.
 */
#include "mm/vm/matrix.h"
#include "tests/unit/vm_fixture.h"

#define ROWS 40

KTEST(vm_matrix, every_consumer_gets_what_it_should)
{
	static const char *const kinds[] = {"ordinary", "zero page", "special", "coherent"};
	static struct matrix_row rows[ROWS];
	uint64_t before = anon_pages();
	int64_t count = matrix_run(rows, ROWS);

	REQUIRE(t, count > 25 && count <= ROWS);
	for (int64_t i = 0; i < count; i++)
		for (enum entry_kind kind = 0; kind < NR_ENTRY_KINDS; kind++) {
			const struct matrix_cell *cell = &rows[i].cells[kind];
			bool page = kind == KIND_ORDINARY || (kind == KIND_COHERENT && rows[i].asks == ASKED_ANY);

			if (kind != KIND_ORDINARY && cell->asked == NOT_APPLICABLE)
				continue;
			if (cell->asked != rows[i].asks || cell->page != page)
				ktest_fail(t, __FILE__, __LINE__, "%s, %s: asked %d (should %d), got %s (should %s)",
					   rows[i].consumer, kinds[kind], cell->asked, rows[i].asks,
					   cell->page ? "a page" : "NULL", page ? "a page" : "NULL");
		}
	EXPECT_EQ(t, anon_pages(), before);
}
