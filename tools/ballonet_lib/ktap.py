"""Reads KTAP (version 1) and believes it only if it is whole.

The kernel and the hosted program write, two levels deep (see kernel/ktest.c):

    KTAP version 1
    1..<suites>
        KTAP version 1
        # Subtest: <suite>
        1..<tests>
        ok 1 <test>
        # <file>:<line>: expected ...
        not ok 2 <test>
    not ok 1 <suite>
    # passed <n> failed <n> skipped <n>

A log may be cut anywhere and must then not look like success. So every count is checked against what came: the two
plans, the numbers of the results, each suite's own verdict, and the totals in the last line. What does not fit is a
*problem*; a report with problems has failed, whatever its tests say. Other lines (the kernel's log) are passed over.
"""
import re
from dataclasses import dataclass, field

VERSION = re.compile(r"^(\s*)KTAP version 1$")
SUBTEST = re.compile(r"^\s+# Subtest: (\S+)$")
PLAN = re.compile(r"^(\s*)1\.\.(\d+)$")
RESULT = re.compile(r"^(\s*)(not ok|ok) (\d+) (?:- )?(\S+)(?: # SKIP ?(.*))?$")
TOTALS = re.compile(r"^# passed (\d+) failed (\d+) skipped (\d+)$")
NOTE = re.compile(r"^\s*# (.*)$")


@dataclass
class Case:
    suite: str
    name: str
    outcome: str  # passed, failed, skipped
    notes: list

    def __str__(self):
        return f"{self.suite}.{self.name}" if self.suite else self.name


@dataclass
class Report:
    cases: list = field(default_factory=list)
    problems: list = field(default_factory=list)

    def count(self, outcome):
        return sum(case.outcome == outcome for case in self.cases)

    @property
    def passed(self):
        return self.count("passed")

    @property
    def failed(self):
        return self.count("failed")

    @property
    def skipped(self):
        return self.count("skipped")

    @property
    def good(self):
        return not self.problems and not self.failed and bool(self.cases)


class _Level:
    """A plan and the results that came under it."""

    def __init__(self, name):
        self.name, self.planned, self.came = name, None, 0

    def result(self, number, problems):
        self.came += 1
        if number != self.came:
            problems.append(f"{self.name}: result {self.came} has the number {number}")

    def close(self, problems):
        if self.planned is None:
            problems.append(f"{self.name}: the plan is missing")
        elif self.planned != self.came:
            problems.append(f"{self.name}: {self.planned} results were planned, {self.came} came")


class _Parser:
    def __init__(self):
        self.report = Report()
        self.top = self.suite = self.totals = None
        self.suite_failures = 0
        self.notes = []

    def problem(self, text):
        self.report.problems.append(text)

    def line(self, line):
        """A line that is none of ours is a note, the kernel's log, or nothing."""
        for pattern, take in ((VERSION, self.version), (SUBTEST, self.subtest), (TOTALS, self.take_totals),
                              (PLAN, self.plan), (RESULT, self.result), (NOTE, self.note)):
            match = pattern.match(line)
            if match:
                if self.top is not None or pattern is VERSION:
                    take(match)
                return

    def version(self, match):
        if match[1]:
            self.open_suite()
        elif self.top is None:
            self.top = _Level("the run")
        else:
            self.problem("the run began a second time: did the guest reset?")

    def open_suite(self):
        if self.suite:
            self.problem(f"suite {self.suite.name}: it has no end")
        self.suite, self.suite_failures, self.notes = _Level("suite ?"), 0, []

    def subtest(self, match):
        if self.suite:
            self.suite.name = match[1]

    def plan(self, match):
        level = self.suite if match[1] else self.top
        if level is None or level.planned is not None:
            self.problem(f"a plan where none belongs: {match[0].strip()}")
        else:
            level.planned = int(match[2])

    def result(self, match):
        if match[1]:
            self.test_result(match)
        else:
            self.suite_result(match)

    def test_result(self, match):
        if self.suite is None:
            self.problem(f"a test outside of any suite: {match[0].strip()}")
            return
        self.suite.result(int(match[3]), self.report.problems)
        outcome = "failed" if match[2] == "not ok" else "passed" if match[5] is None else "skipped"
        self.suite_failures += outcome == "failed"
        self.report.cases.append(Case(self.suite.name, match[4], outcome, self.notes + [match[5]] * bool(match[5])))
        self.notes = []

    def suite_result(self, match):
        self.top.result(int(match[3]), self.report.problems)
        failed = match[2] == "not ok"
        if self.suite is None:  # a result of its own, such as "no test matches"
            self.report.cases.append(Case("", match[4], "failed" if failed else "passed", self.notes))
            self.notes = []
            return
        self.suite.close(self.report.problems)
        if self.suite.name != match[4]:
            self.problem(f"suite {self.suite.name} ends as {match[4]}")
        if failed != (self.suite_failures > 0):
            self.problem(f"suite {match[4]} says {match[2]}, with {self.suite_failures} failed tests")
        self.suite = None

    def note(self, match):
        self.notes.append(match[1])

    def take_totals(self, match):
        self.totals = tuple(int(number) for number in match.groups())

    def finish(self):
        if self.top is None:
            self.problem("there is no KTAP in the log")
            return self.report
        if self.suite:
            self.problem(f"suite {self.suite.name}: it has no end")
        self.top.close(self.report.problems)
        counted = (self.report.passed, self.report.failed, self.report.skipped)
        if self.totals is None:
            self.problem("the line with the totals is missing: the log was cut short")
        elif self.totals != counted:
            self.problem("the totals say %d passed, %d failed, %d skipped" % self.totals +
                         "; %d, %d, %d came" % counted)
        return self.report


def parse(text):
    parser = _Parser()
    for line in text.splitlines():
        parser.line(line.rstrip("\r"))
    return parser.finish()
