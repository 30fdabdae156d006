"""tests/conformance.txt: its clauses are well formed and in order, its tests exist, and no test of suite `driver` is left out."""
import glob
import os
import re

from ballonet_lib import command_conformance

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def known_tests():
    names = set()
    for path in glob.glob(os.path.join(ROOT, "tests", "*", "*.c")):
        with open(path, encoding="utf-8") as file:
            names.update(f"{suite}.{name}" for suite, name in re.findall(r"^KTEST\((\w+), (\w+)\)", file.read(), re.M))
    return names


def clause_key(entry):
    return [int(part) for part in entry.clause.split(".")]


def test_clauses_are_well_formed_and_in_order():
    entries = command_conformance.catalogue()
    for entry in entries:
        assert re.fullmatch(r"[2-6](\.[1-9]\d{0,1}){1,5}", entry.clause), entry
    assert [clause_key(entry) for entry in entries] == sorted(clause_key(entry) for entry in entries)


def test_no_requirement_is_there_twice():
    entries = command_conformance.catalogue()
    assert len({(entry.clause, entry.requirement) for entry in entries}) == len(entries) > 100


def test_every_test_exists_and_runs_with_the_command():
    known = known_tests()
    patterns = [pattern.rstrip("*") for pattern in command_conformance.PATTERNS]
    for entry in command_conformance.catalogue():
        assert entry.test in known, entry
        assert any(entry.test.startswith(pattern) for pattern in patterns), entry


def test_what_does_not_apply_has_a_reason():
    for entry in command_conformance.catalogue():
        assert entry.reason is None or len(entry.reason) > 10, entry


def test_every_driver_test_is_some_requirements_and_says_which():
    clauses = {}
    for entry in command_conformance.catalogue():
        clauses.setdefault(entry.test, []).append(entry.clause)
    for test in (name for name in known_tests() if name.startswith("driver.")):
        quoted = re.findall(r"(?:^|_)c((?:\d+_)+)", test.split(".")[1])
        assert quoted and test in clauses, test
        for clause in (text.strip("_").replace("_", ".") for text in quoted):
            assert clause in clauses[test], f"{test} is not in the row of {clause}"
