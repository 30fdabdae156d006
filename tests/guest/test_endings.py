"""Every way in which a run can end is told from the others: each is made to happen."""
import os
import signal
import subprocess

import pytest
from ballonet_lib import GuestError, Kind, ktap, paths
from ballonet_lib.command_test import Outcome

SMALL = {"memory": "128M"}


def command(*words, **options):
    return subprocess.run([paths.absolute("tools/ballonet"), *words], cwd=paths.ROOT, stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, timeout=60, **options)


def test_passed(start):
    ending = start('run="exit 0"', **SMALL).wait(20)
    assert ending.kind is Kind.PASSED


@pytest.mark.parametrize("status", ["1", "7", "255"])
def test_failed(start, status):
    ending = start(f'run="exit {status}"', **SMALL).wait(20)
    assert ending.kind is Kind.FAILED


def test_panic(start):
    guest = start('run="crash assert"', **SMALL)
    ending = guest.wait(20)
    assert ending.kind is Kind.PANIC
    assert "assertion failed" in ending.detail


def test_hang(start):
    guest = start('run="crash hang"', **SMALL)
    ending = guest.wait(3)
    assert ending.kind is Kind.TIMEOUT


def test_hang_under_a_command(boot):
    guest = boot(**SMALL)
    with pytest.raises(GuestError) as caught:
        guest.sh("crash hang", timeout=2)
    assert caught.value.ending.kind is Kind.TIMEOUT
    assert "crash hang" in caught.value.ending.detail


def test_panic_under_a_command(boot):
    guest = boot(**SMALL)
    with pytest.raises(GuestError) as caught:
        guest.sh("crash null-call", timeout=20)
    assert caught.value.ending.kind is Kind.PANIC


def test_killed(boot):
    guest = boot(**SMALL)
    os.kill(guest.pid, signal.SIGKILL)
    ending = guest.wait(10)
    assert ending.kind is Kind.LOST
    assert "SIGKILL" in ending.detail


def test_killed_under_a_command(boot):
    guest = boot(**SMALL)
    os.kill(guest.pid, signal.SIGKILL)
    with pytest.raises(GuestError) as caught:
        guest.sh("cat /proc/boottime", timeout=10)
    assert caught.value.ending.kind is Kind.LOST


def test_reset_without_a_verdict(start):
    ending = start('run="reset"', **SMALL).wait(20)
    assert ending.kind is Kind.LOST
    assert "reset" in ending.detail


def test_no_such_qemu(start):
    ending = start('run="exit 0"', qemu="/nonexistent/qemu", **SMALL).wait(20)
    assert ending.kind is Kind.NO_START
    assert "/nonexistent/qemu" in ending.detail


def test_qemu_refuses(start):
    ending = start('run="exit 0"', machine="q35,no-such-option=1", **SMALL).wait(20)
    assert ending.kind is Kind.NO_START
    assert "no-such-option" in ending.detail


def test_truncated_results(start):
    """Whole they are believed; cut anywhere between the first line and the last, they are not."""
    guest = start("test=b*", memory="512M")
    ending = guest.wait(120)
    console = guest.console
    assert ktap.parse(console).problems == []
    begin, end = console.index("KTAP version 1"), console.rindex("# passed")
    cuts = [begin + (end - begin) * part // 50 for part in range(51)]
    for cut in cuts:
        outcome = Outcome(ending, ktap.parse(console[:cut]))
        assert outcome.ending.kind is Kind.FAILED and outcome.failed, f"cut at {cut} of {end} it passed"


def test_no_test_matches(start):
    guest = start("test=no.such.test", **SMALL)
    outcome = Outcome(guest.wait(20), ktap.parse(guest.console))
    assert outcome.ending.kind is Kind.FAILED
    assert outcome.failed == 1


@pytest.mark.parametrize("words, status, says", [
    (["run", "--append", 'run="exit 0"'], 0, ""),
    (["run", "--append", 'run="exit 9"'], 1, "status 35"),
    (["run", "--append", 'run="crash assert"'], 2, "panic"),
    (["run", "--append", 'run="crash hang"', "--timeout", "2"], 3, "still running"),
    (["run", "--qemu", "/nonexistent/qemu"], 4, "/nonexistent/qemu"),
    (["run", "--memory", "12Q"], 4, "12Q"),
    (["run", "--boot", "floppy"], 4, "floppy"),
    (["run", "--append", 'run="reset"'], 5, "without a verdict"),
    (["test", "no.such.test"], 1, "no test matches"),
], ids=["passed", "failed", "panic", "time-out", "no-qemu", "bad-memory", "bad-boot", "reset", "no-test"])
def test_exit_status_of_the_command(request, words, status, says):
    machine = ["--memory", "128M"] if "--memory" not in words else []
    done = command(*words, *machine, "--name", request.node.name)
    assert done.returncode == status, done.stdout + done.stderr
    assert says in done.stdout + done.stderr


def test_logs_stay_behind(boot):
    guest = boot(**SMALL)
    guest.sh("echo remembered")
    guest.close()
    with open(paths.absolute(f"{guest.directory}/serial.log"), encoding="ascii") as file:
        assert "remembered" in file.read()
    with open(paths.absolute(f"{guest.directory}/qemu.txt"), encoding="ascii") as file:
        assert file.read().startswith("qemu-system-x86_64")


def test_the_console_loses_nothing(boot):
    """Both ways, in order, byte for byte what QEMU logged."""
    guest = boot(memory="128M")
    line = "0123456789abcdef" * 60
    for number in range(100):
        assert guest.sh(f"echo {number} {line}").output == f"{number} {line}"
    many = "; ".join(["help"] * 150)
    assert len({guest.sh(many).output for _ in range(5)}) == 1
    guest.close()
    with open(paths.absolute(f"{guest.directory}/serial.log"), encoding="ascii") as file:
        assert file.read().replace("\r", "") == guest.console
