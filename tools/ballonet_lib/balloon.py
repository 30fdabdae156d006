"""The host's side of the balloon: ask for memory, watch it come, read what the guest and QEMU each say of it."""
import time
from dataclasses import dataclass

from .ending import Ending, Kind
from .guest import GuestError

DEVICE = "/machine/peripheral/balloon"
PAGE = 4096


def numbers(text):
    """{"MemTotal": …} from lines such as "MemTotal:  123 kB" or "nr_free_pages 123"; kB become bytes."""
    found = {}
    for line in text.splitlines():
        words = line.replace(":", " ").split()
        if len(words) >= 2 and words[1].lstrip("-").isdigit():
            found[words[0]] = int(words[1]) * (1024 if words[2:3] == ["kB"] else 1)
    return found


@dataclass(frozen=True)
class Figures:
    """One moment, seen from both sides. Bytes."""

    total: int  # guest: MemTotal
    free: int  # guest: MemFree
    balloon: int  # guest: pages inflated and not yet deflated
    actual: int  # device
    rss: int  # host: QEMU's resident size


def figures(guest):
    meminfo = numbers(guest.sh("cat /proc/meminfo").output)
    vmstat = numbers(guest.sh("cat /proc/vmstat").output)
    balloon = (vmstat["balloon_inflate"] - vmstat["balloon_deflate"]) * PAGE
    return Figures(meminfo["MemTotal"], meminfo["MemFree"], balloon, guest.balloon_actual(), guest.rss())


def ask(guest, target, timeout=20.0, progress=None):
    """Sets the target and waits until the device says it is reached; seconds. Raises GuestError (time-out)."""
    guest.balloon_actual()  # the first command has to connect
    start = last = time.monotonic()
    guest.qmp("balloon", value=target)
    while True:
        actual = guest.balloon_actual()
        now = time.monotonic()
        if actual == target:
            return now - start
        if now - start > timeout:
            raise GuestError(Ending(Kind.TIMEOUT, f"the balloon stands at {actual >> 20} MiB after {timeout:g} s; "
                                                  f"the target was {target >> 20} MiB"), guest.console)
        if progress and now - last > 1:
            progress(actual)
            last = now
        # Looking disturbs: under QEMU's one lock it waits for the device, and the device for it.
        time.sleep(min(0.002, max(0.0003, (now - start) / 20)))


def statistics(guest, timeout=5.0):
    """What the guest tells the device about itself, freshly polled; {name: number}, without what it leaves out."""
    guest.qmp("qom-set", path=DEVICE, property="guest-stats-polling-interval", value=1)
    begin = int(time.time())
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        answer = guest.qmp("qom-get", path=DEVICE, property="guest-stats")
        if answer["last-update"] > begin:
            return {name: value for name, value in answer["stats"].items() if value != (1 << 64) - 1}
        time.sleep(0.05)
    raise GuestError(Ending(Kind.TIMEOUT, f"no statistics from the guest in {timeout:g} s"), guest.console)


def answers_while_starved(guest, samples):
    """Seconds that the shell takes for each of @samples answers, while the host wants nearly all that the guest has and
    a workload of its own goes on; and the guest's allocations at the beginning and the end. The balloon is empty again
    when this returns, the workload still runs."""
    size, times = guest.machine.memory_bytes, []

    def allocations():
        counters = numbers(guest.sh("cat /proc/vmstat").output)
        return sum(value for name, value in counters.items() if name.startswith("pgalloc"))

    if guest.sh("run churn threads=1 fill=5 operations=2000000000 &").status:
        raise RuntimeError("no workload in the background")
    before = allocations()
    guest.qmp("balloon", value=1 << 20)
    for number in range(samples):
        start = time.monotonic()
        guest.sh(f"echo {number}")
        times.append(time.monotonic() - start)
        time.sleep(0.01)
    after = allocations()
    ask(guest, size, timeout=60)
    return times, before, after
