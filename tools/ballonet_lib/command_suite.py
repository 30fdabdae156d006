"""`ballonet suite`: all tests, as `make test` runs them, and one line for all.

Four kinds of jobs, as many at a time as the host has CPUs: the hosted test program under each sanitizer, the in-kernel
tests in a guest of each build mode, the pytest matrix (cut in two), and the fuzzers' seeds where there are any. Each
job says how many passed and failed; a job that ends without saying so counts as one failure. The last line is
"N passed, N failed", and the same is in build/test/results.json.
"""
import json
import os
import subprocess
import time
import xml.etree.ElementTree as ElementTree
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field

from . import command_test, ktap, paths, terminal
from .machine import MODES, Machine
from .options import count

HOSTED_MODES = ("host-asan", "host-tsan")
PYTEST_SHARDS = 2
GPU_CALLERS = "cgroup*,gpucg*,page_counter*,dma_buf*,virtio_gpu*,ivshmem*"  # what runs without the controller, too
DIRECTORY = os.path.join(paths.BUILD, "test")
LIMIT = 900  # seconds for one of them: ten times what it takes where nothing else runs


@dataclass
class Result:
    job: str
    passed: int = 0
    failed: int = 0
    skipped: int = 0
    seconds: float = 0.0
    lines: list = field(default_factory=list)


def run_process(argv, log, timeout, **environment):
    """(status or None after the time-out, output); the output is also in build/test/@log."""
    path = paths.absolute(os.path.join(DIRECTORY, log))
    with open(path, "w", encoding="utf-8") as file:
        try:
            status = subprocess.run(argv, cwd=paths.ROOT, stdin=subprocess.DEVNULL, stdout=file, timeout=timeout,
                                    stderr=subprocess.STDOUT, env={**os.environ, **environment}).returncode
        except subprocess.TimeoutExpired:
            status = None
    with open(path, encoding="utf-8", errors="replace") as file:
        return status, file.read()


def sanitizer_report(output):
    """The first finding, whole enough to act on where the log itself is out of reach."""
    lines = output.splitlines()
    start = next((i for i, line in enumerate(lines) if "ERROR: " in line or "WARNING: Thread" in line), len(lines))
    return [line for line in lines[start:start + 60] if line.strip()]


def hosted(mode, pattern, variant=""):
    """The unit tests as a Linux program. A sanitizer's finding is a status of its own and no whole KTAP."""
    status, output = run_process([f"build/{mode}/ballonet-tests{variant}", pattern], f"{mode}{variant}.log", LIMIT,
                                 ASAN_OPTIONS="detect_leaks=1", UBSAN_OPTIONS="print_stacktrace=1")
    report = ktap.parse(output)
    result = Result(mode + variant, report.passed, report.failed, report.skipped)
    for case in report.cases:
        if case.outcome == "failed":
            result.lines += [f"not ok {case}"] + [f"    {note}" for note in case.notes]
    if status != 0 or report.problems:
        ended = "time-out" if status is None else f"status {status}"
        result.lines += [f"{ended}; see build/test/{mode}{variant}.log"] + report.problems[:5]
        result.lines += sanitizer_report(output)
        result.failed = max(result.failed, 1)
    return result


def in_guest(mode, pattern):
    """The same tests and those that need the machine, in a guest with two nodes."""
    machine = Machine(memory="1G", smp=2, numa=2, mode=mode)
    outcome, _ = command_test.run_tests(machine, pattern, f"test-{mode}", LIMIT)
    return Result(f"guest {mode}", outcome.passed, outcome.failed, outcome.report.skipped, lines=outcome.lines())


def pytest_shard(number, pattern):
    """The matrix, and the tests of the tools themselves."""
    xml = os.path.join(DIRECTORY, f"pytest-{number}.xml")
    if os.path.exists(paths.absolute(xml)):
        os.remove(paths.absolute(xml))
    argv = ["/usr/bin/python3", "-B", "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--junitxml={xml}",
            f"--shard={number}/{PYTEST_SHARDS}", "tests/tools", "tests/guest"] + (["-k", pattern] if pattern else [])
    status, output = run_process(argv, f"pytest-{number}.log", 2 * LIMIT)
    result = Result(f"pytest {number}/{PYTEST_SHARDS}")
    try:
        cases = ElementTree.parse(paths.absolute(xml)).getroot().findall(".//testcase")
    except (OSError, ElementTree.ParseError):
        result.failed = 1
        result.lines = ["pytest left no results:"] + output.splitlines()[-15:]
        return result
    for case in cases:
        wrong = [child for kind in ("failure", "error") for child in case.findall(kind)]
        result.failed += bool(wrong)
        result.skipped += case.find("skipped") is not None
        result.passed += not wrong and case.find("skipped") is None
        for child in wrong:
            text = (child.get("message") or "").splitlines()[:6]
            result.lines += [f"not ok {case.get('name')}"] + [f"    {line}" for line in text]
    if status not in (0, 5) and not result.failed:
        result.failed, result.lines = 1, [f"pytest left with status {status}; see build/test/pytest-{number}.log"]
    return result


def all_jobs(only, pattern):
    """Longest first, so that the last ones to run are short."""
    jobs = {f"guest {mode}": (in_guest, mode, pattern or "*") for mode in reversed(MODES)}
    jobs.update({mode: (hosted, mode, pattern or "*") for mode in HOSTED_MODES})
    jobs["host-asan GPU=off"] = (hosted, "host-asan", pattern or GPU_CALLERS, "-gpu-off")
    shards = {f"pytest {n}/{PYTEST_SHARDS}": (pytest_shard, n, pattern) for n in range(1, PYTEST_SHARDS + 1)}
    jobs = {**shards, **jobs}
    return {name: job for name, job in jobs.items() if not only or any(word in name for word in only)}


def timed(name, function, *arguments):
    start = time.monotonic()
    try:
        result = function(*arguments)
    except Exception as error:  # a job that breaks is a failure with a name, never a silent gap
        result = Result(name, failed=1, lines=[f"{type(error).__name__}: {error}"])
    result.seconds = time.monotonic() - start
    return result


def run_all(jobs, workers):
    results = []
    with ThreadPoolExecutor(max_workers=workers) as pool:
        futures = [pool.submit(timed, name, *job) for name, job in jobs.items()]
        for future in as_completed(futures):
            result = future.result()
            results.append(result)
            terminal.say(f"{result.job}: {result.passed} passed, {result.failed} failed, {result.skipped} skipped"
                         f" ({result.seconds:.1f} s)")
            for line in result.lines:
                print(f"             {line}", flush=True)
    return results


def add_parser(commands):
    parser = commands.add_parser("suite", help="all tests: hosted, in guests of every build mode, the matrix")
    parser.add_argument("--only", action="append", metavar="WORD", help="only jobs whose name has this word")
    parser.add_argument("--pattern", default="", help="only these tests (a pattern in the kernel, a -k for pytest)")
    parser.add_argument("--jobs", type=count, default=os.cpu_count() or 1, help="at a time (default: the host's CPUs)")
    parser.set_defaults(main=main)


def main(args):
    os.makedirs(paths.absolute(DIRECTORY), exist_ok=True)
    jobs = all_jobs(args.only, args.pattern)
    terminal.say(f"{len(jobs)} jobs, {args.jobs} at a time: {', '.join(jobs)}")
    results = run_all(jobs, args.jobs)
    with open(paths.absolute(os.path.join(DIRECTORY, "results.json")), "w", encoding="utf-8") as file:
        json.dump([vars(result) for result in results], file, indent=1)
    passed, failed = sum(r.passed for r in results), sum(r.failed for r in results)
    skipped = sum(r.skipped for r in results)
    if not passed and not failed:
        failed = 1
        terminal.say("nothing was run: that is a failure")
    if skipped:
        terminal.say(f"{skipped} skipped")
    print(f"{passed} passed, {failed} failed", flush=True)
    return 1 if failed else 0
