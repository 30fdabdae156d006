"""Live migration of a running guest to a second QEMU, over a unix socket in a directory that only we may enter.

The second QEMU is the same machine, waiting with -incoming. When the first has handed over, the guest's shell is the
second's serial line: what was running there runs on, and the guest can be asked how its memory arrived.
"""
import copy
import os
import shutil
import tempfile
import time
from dataclasses import dataclass

from .ending import Ending, Kind
from .guest import Guest, GuestError

BANDWIDTH = 64 << 30  # as fast as it goes
SLOW = 1 << 20
PATIENCE = 60  # seconds: for the guest to say what is free
DOWNTIME_MS = 2000  # allowed: the guest dirties its memory as fast as it can


@dataclass(frozen=True)
class Moved:
    """What QEMU says of a migration that is over."""

    total_bytes: int  # of the guest's memory
    sent_bytes: int
    zero_pages: int  # sent as a few bytes each
    full_pages: int  # sent whole
    rounds: int
    seconds: float
    downtime: float

    @property
    def skipped_pages(self):
        """Never sent, in whatever form: the guest said that they are free."""
        return max(0, self.total_bytes // 4096 - self.zero_pages - self.full_pages)


def receiver(source, name):
    """A guest that is not running yet: it will be what @source was. Its socket is in @directory."""
    directory = tempfile.mkdtemp(prefix="ballonet-")
    machine = copy.copy(source.machine)
    # A directory's descriptor would not survive exec: the path is short by itself.
    address = "unix:" + os.path.join(directory, "migrate.sock")
    machine.extra = [*machine.extra, "-incoming", address]
    return Guest(machine, name, source.cmdline), directory, address


def wait_for_hints(source, left):
    deadline = time.monotonic() + PATIENCE
    while source.qmp("query-migrate").get("ram", {}).get("remaining", left + 1) > left and time.monotonic() < deadline:
        time.sleep(0.01)


def migrate(source, target, address, timeout=120.0, left=None):
    """Moves @source to @target, which is started and waits at @address. Raises GuestError if QEMU does not manage.

    With @left QEMU sends slowly until no more bytes than that are to be sent, so that the guest is first: what it says
    is free by then is not sent.
    """
    target.qmp("query-status")  # it listens by now
    source.qmp("migrate-set-parameters", max_bandwidth=SLOW if left else BANDWIDTH, downtime_limit=DOWNTIME_MS)
    source.qmp("migrate", uri=address)
    if left:
        wait_for_hints(source, left)
        source.qmp("migrate-set-parameters", max_bandwidth=BANDWIDTH)
    deadline = time.monotonic() + timeout
    while True:
        info = source.qmp("query-migrate")
        if info.get("status") in ("completed", "failed", "cancelled"):
            break
        if time.monotonic() > deadline:
            raise GuestError(Ending(Kind.TIMEOUT, f"the migration was still {info.get('status')} after {timeout:g} s: "
                                                  f"{info.get('ram')}"), source.console)
        time.sleep(0.01)
    if info["status"] != "completed":
        raise GuestError(Ending(Kind.LOST, f"migration {info['status']}: {info.get('error-desc', '')}"), source.console)
    ram = info["ram"]
    return Moved(ram["total"], ram["transferred"], ram["duplicate"], ram["normal"], ram["dirty-sync-count"],
                 info["total-time"] / 1e3, info["downtime"] / 1e3)


def move(source, name, timeout=120.0, left=None):
    """(the guest at its new host, Moved); @source is over then."""
    target, directory, address = receiver(source, name)
    try:
        target.start()
        moved = migrate(source, target, address, timeout, left)
    except BaseException:
        target.close()
        raise
    finally:
        shutil.rmtree(directory, ignore_errors=True)
    source.close()
    return target, moved
