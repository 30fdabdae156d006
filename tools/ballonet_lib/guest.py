"""A running guest: its console, its shell, QEMU's control channel, and how it ended.

QEMU's stdio is the guest's serial line. A thread of ours empties the pipe at once, so QEMU never has to wait or to
drop, and everything is searched for in one growing text. Every wait has a deadline, and every wait notices at once
when QEMU ends. Each guest leaves its serial log, QEMU's messages and the command line in build/guests/<name>/.
"""
import ctypes
import fcntl
import os
import re
import shutil
import signal
import subprocess
import threading
import time
from dataclasses import dataclass

from . import images, machine as machines, paths
from .ending import Ending, Kind, classify
from .qmp import Qmp, QmpError

STATUS_LINE = re.compile(r"^=> (-?\d+)\n", re.MULTILINE)
LOG_LINE = re.compile(r"^\[ *\d+\.\d{6}\] ")
PANIC_LINE = re.compile(r"^panic: (.*)$", re.MULTILINE)
READY = "harness: ready"
PR_SET_PDEATHSIG = 1
F_SETPIPE_SZ = 1031


class GuestError(Exception):
    """The guest did not do what was waited for; @ending says how it stands."""

    def __init__(self, ending, log=""):
        tail = "\n".join("    | " + line for line in log.splitlines()[-25:])
        super().__init__(f"{ending}\n{tail}" if tail else str(ending))
        self.ending = ending


@dataclass(frozen=True)
class Reply:
    output: str  # without the kernel's log lines
    status: int
    log: str  # the log lines that came meanwhile

    @property
    def lines(self):
        return self.output.splitlines()


def die_with_parent():
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


class Guest:
    def __init__(self, machine, name="guest", cmdline=None):
        """@cmdline: the whole kernel command line; by default that of a shell for programs, and @machine.append."""
        self.machine = machine
        self.directory = os.path.join(paths.GUESTS, re.sub(r"[^A-Za-z0-9_.-]+", "-", name).strip("-.")[:80])
        if cmdline is None:
            words = [machines.MACHINE_MODE, machine.append]
            if "run=" not in machine.append and "test=" not in machine.append:
                words.append(f'run="echo {READY}"')
            cmdline = " ".join(word for word in words if word)
        self.cmdline = cmdline
        self.console = ""
        self.started = None
        self._gone = False  # the console has ended
        self._position = 0
        self._process = self._qmp = self._ending = None
        self._news = threading.Condition()

    # ---- life ----

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.close()

    def start(self):
        """Starts QEMU. A QEMU that cannot be started gives an ending, not an exception: see wait()."""
        directory = paths.absolute(self.directory)
        shutil.rmtree(directory, ignore_errors=True)
        os.makedirs(directory)
        self.machine.prepare(self.directory, self.cmdline)
        argv = self.machine.argv(self.directory, self.cmdline)
        with open(os.path.join(directory, "qemu.txt"), "w", encoding="utf-8") as file:
            file.write(paths.shell_line(argv) + "\n")
        self.started = time.monotonic()
        with open(os.path.join(directory, "qemu.log"), "wb") as complaints:
            try:
                self._process = subprocess.Popen(argv, cwd=paths.ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                                 stderr=complaints, preexec_fn=die_with_parent)
            except OSError as error:
                self._ending = Ending(Kind.NO_START, f"{argv[0]}: {error.strerror}")
                return self
        fcntl.fcntl(self._process.stdout, F_SETPIPE_SZ, 1 << 20)
        self._reader = threading.Thread(target=self._read_console, daemon=True)
        self._reader.start()
        return self

    def close(self):
        """Ends QEMU if it still runs."""
        if self._process and self._process.poll() is None:
            self._process.kill()
        if self._process:
            self._process.wait()
            self._reader.join()
            self._process.stdin.close()
            self._process.stdout.close()
        if self._qmp:
            self._qmp.close()
            self._qmp = None

    @property
    def pid(self):
        return self._process.pid

    @property
    def running(self):
        return self._ending is None and self._process.poll() is None

    # ---- console ----

    def _read_console(self):
        while True:
            piece = os.read(self._process.stdout.fileno(), 1 << 16)
            with self._news:
                self.console += piece.decode("ascii", errors="replace").replace("\r", "")
                self._news.notify_all()
                if not piece:
                    self._gone = True
                    return

    def expect(self, pattern, timeout=60.0, what=None):
        """Waits for @pattern (multi-line) behind what was matched before; the match. Raises GuestError."""
        pattern = re.compile(pattern, re.MULTILINE) if isinstance(pattern, str) else pattern
        deadline = time.monotonic() + timeout
        with self._news:
            while True:
                match = pattern.search(self.console, self._position)
                if match:
                    self._position = match.end()
                    return match
                left = deadline - time.monotonic()
                if self._gone or self._ending:
                    break
                if left <= 0:
                    what = what or f'"{pattern.pattern}"'
                    raise GuestError(Ending(Kind.TIMEOUT, f"waited {timeout:g} s for {what}"), self.console)
                self._news.wait(left)
        raise GuestError(self.wait(5.0), self.console)

    def send(self, text):
        if not self.running:
            raise GuestError(self.wait(5.0), self.console)
        try:
            self._process.stdin.write(text.encode())
            self._process.stdin.flush()
        except BrokenPipeError:
            raise GuestError(self.wait(5.0), self.console) from None

    def wait_ready(self, timeout=60.0):
        """Until the shell takes commands; what `run=` printed is behind us then."""
        self.expect(re.escape(READY), timeout, "the shell")
        self.send("echo harness: in step\n")
        self.expect(r"^harness: in step\n(?:\[.*\n)*=> 0\n", timeout, "the shell's answer")
        return self

    def sh(self, command, timeout=60.0):
        """Runs a shell line in the guest: Reply(output, status). Raises GuestError if it does not come back."""
        assert "\n" not in command
        begin = self._position
        self.send(command + "\n")
        match = self.expect(STATUS_LINE, timeout, f'the end of "{command}"')
        lines = self.console[begin:match.start()].strip("\n").splitlines()
        log = [line for line in lines if LOG_LINE.match(line)]
        output = [line for line in lines if not LOG_LINE.match(line)]
        return Reply("\n".join(output), int(match[1]), "\n".join(log))

    # ---- the host's side ----

    def qmp(self, command, timeout=30.0, **arguments):
        if self._qmp is None:
            path = os.path.join(paths.absolute(self.directory), "qmp.sock")
            self._qmp = Qmp(path, time.monotonic() + timeout, alive=lambda: self.running)
        return self._qmp.command(command, timeout, **arguments)

    def balloon_actual(self):
        """Bytes that the guest has, as the device says."""
        return self.qmp("query-balloon")["actual"]

    def rss(self):
        """Resident bytes of the QEMU process."""
        with open(f"/proc/{self.pid}/smaps_rollup", encoding="ascii") as file:
            for line in file:
                if line.startswith("Rss:"):
                    return int(line.split()[1]) << 10
        raise RuntimeError("no Rss in smaps_rollup")

    def wait(self, timeout=60.0):
        """How it ended; one that has not after @timeout is killed and has ended in a time-out."""
        if self._ending is None:
            try:
                returncode = self._process.wait(timeout)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
                self._ending = Ending(Kind.TIMEOUT, f"still running after {timeout:g} s"
                                                    + ("" if self.console else "; nothing came on the serial line"))
                return self._ending
            self._reader.join(10)
            reason = PANIC_LINE.search(self.console)
            self._ending = classify(returncode, bool(self.console), self._complaints(), reason[1] if reason else "")
        return self._ending

    def _complaints(self):
        with open(os.path.join(paths.absolute(self.directory), "qemu.log"), encoding="utf-8", errors="replace") as file:
            return file.read()


def run_to_end(machine, name, cmdline, timeout):
    """Boots, waits for the end; (Ending, console text)."""
    images.build_for(machine)
    with Guest(machine, name, cmdline) as guest:
        ending = guest.wait(timeout)
    return ending, guest.console


__all__ = ["Guest", "GuestError", "Qmp", "QmpError", "Reply", "run_to_end"]
