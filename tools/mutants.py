#!/usr/bin/python3
"""Breaks the code in each way of tests/mutants.txt, in a copy of the tree, and asks whether the tests see it.

"host-asan", or another hosted mode: the unit tests must fail (or end in a sanitizer's report, or not end); a name behind
it, as in "host-asan buddy.*", says which. "guest": what a guest says of itself, a good run, a failed command and a panic,
must not all three be what they were. A change that changes nothing or does not compile is a mistake in the list, not a
success. With an argument only the mutants are tried whose name has it in it. The last line counts; the status is 0 only if
none survived.
"""
import glob
import os
import shutil
import subprocess
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from ballonet_lib import paths, terminal  # noqa: E402

TREE = paths.absolute("build/mutants")
SECONDS = 60  # for tests: longer is red; a build, the first of all files, may take longer
BUILD_SECONDS = 1800
VERDICTS = (("exit 0", 0), ("exit 1", 1), ("crash assert", 2))


def read_list(wanted):
    with open(paths.absolute("tests/mutants.txt"), encoding="utf-8") as file:
        for line in file:
            if line.strip() and not line.startswith("#") and wanted in line.split(" | ")[0]:
                yield [part.strip() for part in line.split(" | ")]


def copy_tree():
    """The working tree as it is, without build/; what was built in the copy stays, so that only the change is built."""
    os.makedirs(TREE, exist_ok=True)
    for name in os.listdir(TREE):
        if name != "build":
            path = os.path.join(TREE, name)
            shutil.rmtree(path) if os.path.isdir(path) else os.remove(path)
    shutil.copytree(paths.ROOT, TREE, dirs_exist_ok=True, symlinks=True,
                    ignore=lambda folder, _: {"build", ".git"} if folder == paths.ROOT else set())


def run(*argv, seconds=SECONDS):
    """Status, or None after the time-out."""
    try:
        return subprocess.run(argv, cwd=TREE, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL, timeout=seconds).returncode
    except subprocess.TimeoutExpired:
        return None


def is_red(where):
    """None if it does not build."""
    mode, *tests = where.split()
    if run("make", "MODE=release" if where == "guest" else f"MODE={mode}", seconds=BUILD_SECONDS) != 0:
        return None
    if where == "guest":
        return any(run("tools/ballonet", "run", "--memory", "128M", "--timeout", "20", "--append", f'run="{line}"')
                   != status for line, status in VERDICTS)
    return run(f"build/{mode}/ballonet-tests", *tests) != 0


def try_mutant(file, expression, where):
    path = os.path.join(TREE, file)
    with open(path, encoding="utf-8") as source:
        before = source.read()
    subprocess.run(["sed", "-i", expression, path], check=True)
    with open(path, encoding="utf-8") as source:
        if source.read() == before:
            return "the expression changes nothing"
    red = is_red(where)
    with open(path, "w", encoding="utf-8") as source:
        source.write(before)
    for built in glob.glob(os.path.join(TREE, "build", "*", os.path.splitext(file)[0] + "*.o")):
        os.remove(built)  # the next copy's file is older than this object of the changed one
    return {None: "it does not compile", True: "", False: "SURVIVED"}[red]


def main():
    mutants = list(read_list(sys.argv[1] if len(sys.argv) > 1 else ""))
    copy_tree()
    for where in sorted({mutant[3] for mutant in mutants}):
        if is_red(where) is not False:
            print(f"mutants: without a change, {where} is not green: there is nothing to compare with")
            return 1
    bad = 0
    for name, file, expression, where in mutants:
        trouble = try_mutant(file, expression, where)
        bad += bool(trouble)
        terminal.say(f"{name} ({file}): {trouble or 'seen by ' + where}")
    print(f"{len(mutants) - bad} seen, {bad} not", flush=True)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
