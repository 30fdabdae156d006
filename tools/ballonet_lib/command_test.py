"""`ballonet test`: the in-kernel tests in one guest.

Two witnesses have to agree: the KTAP on the serial line, checked count by count, and the status with which the guest
left QEMU. The status of the command is the ending's (0 passed, 1 failed, 2 panic, 3 time-out, 4 QEMU did not start,
5 no verdict); results that are not whole are failed results.
"""
import json
import os
from dataclasses import dataclass

from . import images, ktap, paths, terminal
from .ending import Ending, Kind
from .guest import Guest
from .options import add_machine_options, machine_from


@dataclass
class Outcome:
    ending: Ending
    report: ktap.Report

    def __post_init__(self):
        """The two witnesses must tell the same story."""
        if self.ending.kind is Kind.PASSED and not self.report.good:
            why = (self.report.problems or ["a test failed, and yet the guest left as if all had passed"])[0]
            self.ending = Ending(Kind.FAILED, why)
        elif self.ending.kind is Kind.FAILED and self.report.good:
            self.ending = Ending(Kind.FAILED, "all tests passed, and yet the guest left as if one had failed")

    @property
    def passed(self):
        return self.report.passed

    @property
    def failed(self):
        """A run without a good end counts as a failure of its own if no test of it did."""
        return self.report.failed or int(self.ending.kind is not Kind.PASSED)

    def lines(self):
        """What a person needs to know of what went wrong."""
        lines = []
        for case in self.report.cases:
            if case.outcome == "failed":
                lines += [f"not ok {case}"] + [f"    {note}" for note in case.notes]
        if self.ending.kind is not Kind.PASSED:
            lines += [str(self.ending)] + [f"    {problem}" for problem in self.report.problems[:5]]
        return lines


def run_tests(machine, pattern, name, timeout):
    cmdline = f"test={pattern} {machine.append}".strip()
    with Guest(machine, name, cmdline) as guest:
        ending = guest.wait(timeout)
    return Outcome(ending, ktap.parse(guest.console)), guest.console


def add_parser(commands):
    parser = commands.add_parser("test", help="run the in-kernel tests in one guest")
    parser.add_argument("pattern", nargs="?", default="*", help='tests as suite.name, with * and ? (default "*")')
    parser.add_argument("--name", help="logs go to build/guests/NAME (default test-MODE)")
    parser.add_argument("--timeout", type=float, default=300, metavar="S", help="seconds (default %(default)g)")
    parser.add_argument("--verbose", action="store_true", help="show all that the guest said")
    add_machine_options(parser, smp=2)
    parser.set_defaults(main=main)


def main(args):
    machine = machine_from(args)
    name = args.name or f"test-{machine.mode}"
    if args.dry_run:
        print(paths.shell_line(machine.argv(os.path.join(paths.GUESTS, name), f"test={args.pattern}")))
        return 0
    images.build_for(machine)
    outcome, console = run_tests(machine, args.pattern, name, args.timeout)
    if args.verbose:
        print(console)
    for line in outcome.lines():
        print(line)
    write_json(os.path.join(paths.GUESTS, name, "result.json"), outcome)
    print(f"{outcome.passed} passed, {outcome.failed} failed, {outcome.report.skipped} skipped", flush=True)
    if outcome.ending.kind is not Kind.PASSED:
        terminal.complain(f"see build/guests/{name}/serial.log")
    return outcome.ending.kind.value


def write_json(path, outcome):
    cases = [{"suite": case.suite, "name": case.name, "outcome": case.outcome} for case in outcome.report.cases]
    with open(paths.absolute(path), "w", encoding="utf-8") as file:
        json.dump({"ending": outcome.ending.kind.name, "detail": outcome.ending.detail, "cases": cases}, file, indent=1)
