"""How a guest's run ended.

The kernel leaves QEMU through isa-debug-exit, so QEMU's own status tells: 33 all passed, 35 something failed, 37
panic. Everything else means that there is no verdict, and that is never taken for success: a run that hangs, a QEMU
that does not start, and a QEMU that goes away (killed, or the guest reset the machine) are told apart.
"""
import enum
import signal
from dataclasses import dataclass


class Kind(enum.Enum):
    """The value is the exit status of tools/ballonet."""

    PASSED = 0
    FAILED = 1
    PANIC = 2
    TIMEOUT = 3
    NO_START = 4
    LOST = 5


VERDICTS = {33: Kind.PASSED, 35: Kind.FAILED, 37: Kind.PANIC}


@dataclass(frozen=True)
class Ending:
    kind: Kind
    detail: str

    def __str__(self):
        return f"{self.kind.name.lower().replace('_', ' ')}: {self.detail}"


def last_line(text):
    lines = [line for line in text.strip().splitlines() if line.strip()]
    return lines[-1].strip() if lines else ""


def classify(returncode, heard_guest, complaints, reason=""):
    """The ending for QEMU's @returncode; @complaints is its stderr, @reason the guest's panic line if there was one."""
    if returncode in VERDICTS:
        kind = VERDICTS[returncode]
        if kind is Kind.PANIC:
            return Ending(kind, reason or "the guest panicked and gave no reason")
        return Ending(kind, f"the guest left with status {returncode}")
    if returncode < 0:
        name = signal.Signals(-returncode).name
        return Ending(Kind.LOST, f"QEMU was killed by {name} before the guest gave a verdict")
    if returncode == 1 and not heard_guest:
        return Ending(Kind.NO_START, last_line(complaints) or "QEMU left with status 1 and said nothing")
    if returncode == 0:
        return Ending(Kind.LOST, "the guest reset or powered off the machine without a verdict")
    return Ending(Kind.LOST, f"QEMU left with status {returncode}, which is no verdict: {last_line(complaints)}")
