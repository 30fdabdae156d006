"""`ballonet conformance`: clause by clause, what our driver and the machine's device do; also in build/conformance.json.

The device's side is the in-kernel suite device.*, run on the machine that the options describe: point --qemu at another
machine monitor's binary and it is that one's device. A test's name begins with its clause. The driver's side is
tests/conformance.txt: requirement by requirement the hosted test that tries it, against scripted and lying devices;
what does not apply to this driver is there with its reason.
"""
import json
import os
import re
import subprocess
from typing import NamedTuple, Optional

from . import images, ktap, paths
from .guest import run_to_end
from .options import add_machine_options, machine_from
from .terminal import complain, say

CATALOGUE = os.path.join("tests", "conformance.txt")
PATTERNS = ("driver.*", "virt*", "balloon*")  # of hosted tests that the catalogue may name
VERDICTS = {"passed": "met", "failed": "NOT MET", "skipped": "not tried"}
DOES_NOT_APPLY = "n/a"


class Entry(NamedTuple):
    clause: str
    requirement: str
    test: str
    reason: Optional[str] = None  # why it does not apply


def catalogue():
    with open(paths.absolute(CATALOGUE), encoding="utf-8") as file:
        return [Entry(*line.rstrip("\n").split("\t")) for line in file if line.strip() and not line.startswith("#")]


def add_parser(commands):
    parser = commands.add_parser("conformance", help="verdicts by clause of the virtio standard, driver and device")
    parser.add_argument("--misbehave", action="store_true", help="also try what a bad driver may not bring down (the "
                        "machine monitor may end)")
    parser.add_argument("--only", choices=("driver", "device"), help="only this side")
    add_machine_options(parser, smp=2, balloon="free-page-reporting=on")
    parser.set_defaults(main=main)


def driver_rows():
    say("the driver, against scripted devices")
    images.make("MODE=host-asan", "hosted")
    cases = {}
    for pattern in PATTERNS:
        result = subprocess.run(["build/host-asan/ballonet-tests", pattern], cwd=paths.ROOT, timeout=600,
                                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        cases.update((str(case), case) for case in ktap.parse(result.stdout).cases)
    return [driver_row(entry, cases.get(entry.test)) for entry in catalogue()]


def driver_row(entry, case):
    found = row("driver", entry.clause, entry.requirement, entry.test, case)
    if entry.reason and found["verdict"] == VERDICTS["passed"]:
        found["verdict"], found["notes"] = DOES_NOT_APPLY, [entry.reason]
    return found


def device_rows(machine, misbehave):
    say("the device, " + machine.qemu)
    words = f"{machine.append} test=device.*" + (" device_misbehave=1" if misbehave else "")
    ending, console = run_to_end(machine, "conformance", words.strip(), timeout=120)
    report = ktap.parse(console)
    for problem in report.problems:
        complain(f"{problem} ({ending})")
    rows = []
    for case in sorted(report.cases, key=lambda case: case.name):
        clause, text = re.match(r"c((?:\d+_)+)(.*)", case.name).groups()
        rows.append(row("device", clause.strip("_").replace("_", "."), text.replace("_", " "), str(case), case))
    if report.problems or not rows:
        rows.append({"side": "device", "clause": "", "requirement": "the run comes to its end", "verdict": "NOT MET",
                     "evidence": str(ending), "notes": report.problems})
    return rows


def row(side, clause, text, test, case):
    verdict = VERDICTS[case.outcome] if case else "NOT MET"
    return {"side": side, "clause": clause, "requirement": text, "verdict": verdict, "evidence": test,
            "notes": case.notes if case else ["there is no such test, or it did not end"]}


def requirement_of(at):
    return at["requirement"] + (f" ({at['notes'][0]})" if at["verdict"] == DOES_NOT_APPLY else "")


def main(args):
    machine = machine_from(args)
    rows = []
    if args.only != "device":
        rows += driver_rows()
    if args.only != "driver":
        rows += device_rows(machine, args.misbehave)
    print(f"\n{'side':7} {'clause':11} {'verdict':8} requirement [evidence]")
    for at in rows:
        print(f"{at['side']:7} {at['clause']:11} {at['verdict']:8} {requirement_of(at)} [{at['evidence']}]")
    failed = [at for at in rows if at["verdict"] == "NOT MET"]
    for at in failed:
        complain(f"{at['side']} {at['clause']}: {at['evidence']}: {'; '.join(at['notes'])}")
    with open(paths.absolute(os.path.join(paths.BUILD, "conformance.json")), "w", encoding="utf-8") as file:
        json.dump(rows, file, indent=1)
    inapplicable = sum(at["verdict"] == DOES_NOT_APPLY for at in rows)
    print(f"\n{len(rows) - len(failed)} of {len(rows)} not violated, {inapplicable} of them do not apply; "
          "build/conformance.json")
    return 1 if failed else 0
