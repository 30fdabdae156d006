"""Boots Ballonet under QEMU and talks to it. `tools/ballonet` and the pytest fixtures both stand on this.

    with Guest(Machine(memory="1G", smp=2), name="example") as guest:
        guest.wait_ready()
        print(guest.sh("cat /proc/meminfo").output)
        guest.qmp("balloon", value=256 << 20)
        print(guest.rss())

machine.py  a machine as data, and the QEMU command line for it      guest.py   a running one: shell, QMP, ending
images.py   what is booted: kernel, ISO, EFI system partition        qmp.py     QEMU's control channel
ending.py   how a run ended, and the exit status for it              ktap.py    test results one can trust
accel.py    TCG unless KVM has proved itself                         commands/  run, demo, test, suite, bench
"""
from .ending import Ending, Kind
from .guest import Guest, GuestError, Reply
from .machine import Machine, MachineError

__all__ = ["Ending", "Guest", "GuestError", "Kind", "Machine", "MachineError", "Reply"]
