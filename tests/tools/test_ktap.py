"""KTAP is believed only if it is whole: every way of being not whole is tried."""
import pytest
from ballonet_lib import ktap

GOOD = """\
[    0.001000] kernel: a log line
KTAP version 1
1..2
    KTAP version 1
    # Subtest: buddy
    1..3
    ok 1 merges
[    0.002000] kernel: a log line amid results
    # mm/buddy_test.c:12: blocks is 2 (0x2), expected 1 (0x1)
    not ok 2 splits
    ok 3 skips # SKIP only with NUMA
not ok 1 buddy
    KTAP version 1
    # Subtest: list
    1..1
    ok 1 adds
ok 2 list
# passed 2 failed 1 skipped 1
"""


def test_a_whole_report():
    report = ktap.parse(GOOD)
    assert report.problems == []
    assert (report.passed, report.failed, report.skipped) == (2, 1, 1)
    failed = [case for case in report.cases if case.outcome == "failed"]
    assert str(failed[0]) == "buddy.splits"
    assert failed[0].notes == ["mm/buddy_test.c:12: blocks is 2 (0x2), expected 1 (0x1)"]
    assert not report.good


def test_all_passed_is_good():
    assert ktap.parse(GOOD.replace("not ok", "ok").replace("2 failed 1", "3 failed 0")).good


def test_cut_after_any_line():
    lines = GOOD.splitlines(keepends=True)
    for length in range(len(lines)):
        assert ktap.parse("".join(lines[:length])).problems, f"cut after {length} lines it was believed"


def test_any_line_missing():
    """Taking one line out that counts is seen; notes and the kernel's log do not count."""
    lines = GOOD.splitlines(keepends=True)
    for number, line in enumerate(lines):
        if line.startswith("[") or "mm/buddy_test.c" in line:
            continue
        assert ktap.parse("".join(lines[:number] + lines[number + 1:])).problems, f"without {line!r} it was believed"


@pytest.mark.parametrize("old, new, says", [
    ("1..3", "1..4", "4 results were planned, 3 came"),
    ("1..2", "1..3", "3 results were planned, 2 came"),
    ("ok 3 skips", "ok 4 skips", "has the number 4"),
    ("not ok 1 buddy", "ok 1 buddy", "with 1 failed"),
    ("ok 2 list", "ok 2 lust", "ends as lust"),
    ("passed 2", "passed 3", "the totals say 3 passed"),
    ("[    0.002000] kernel: a log line amid results", "KTAP version 1", "a second time"),
])
def test_contradictions(old, new, says):
    problems = ktap.parse(GOOD.replace(old, new, 1)).problems
    assert any(says in problem for problem in problems), problems


def test_no_ktap_at_all():
    assert not ktap.parse("hello\n").good
    assert not ktap.parse("").good


def test_a_run_without_tests_is_not_good():
    assert not ktap.parse("KTAP version 1\n1..0\n# passed 0 failed 0 skipped 0\n").good
