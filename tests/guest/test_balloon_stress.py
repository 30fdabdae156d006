"""Targets that change at random, with statistics polled, resets and shortage in the middle: no page is lost or shared.

The host's thread moves the target; the guest's shell meanwhile runs workloads that mark and check their pages, takes
more than there is, and resets the device. BALLOON_ROUNDS targets (`make soak-balloon`: 1000), BALLOON_SEED to repeat.
"""
import os
import random
import threading
import time

import pytest
from ballonet_lib import balloon, paths

MIB = 1 << 20
ROUNDS = int(os.environ.get("BALLOON_ROUNDS", "20"))
SEED = int(os.environ.get("BALLOON_SEED", "0")) or random.randrange(1, 1 << 31)
OOM = "deflate-on-oom=on"
HAS_SG = os.access(paths.absolute(paths.QEMU_SG), os.X_OK)
SG = pytest.mark.skipif(not HAS_SG, reason="run make qemu-sg")
MACHINES = (
    pytest.param({"machine": "q35", "balloon": f"{OOM},free-page-reporting=on"}, id="q35-report"),
    pytest.param({"machine": "q35", "balloon": f"{OOM},packed=on"}, id="q35-pfn-packed"),
    pytest.param({"machine": "pc", "balloon": f"{OOM},free-page-reporting=on,packed=on", "append": "virtio.poll=1"},
                 id="pc-report-packed-polled"),
    pytest.param({"machine": "pc", "balloon": OOM, "append": "virtio.poll=1"}, id="pc-pfn-polled"),
    pytest.param({"boot": "microvm", "machine": "microvm,acpi=off", "balloon": f"{OOM},free-page-reporting=on"},
                 id="microvm-report"),
    pytest.param({"machine": "q35", "balloon": f"{OOM},sg=on", "qemu": paths.QEMU_SG}, id="q35-sg", marks=SG),
    pytest.param({"boot": "microvm", "machine": "microvm,acpi=off", "balloon": f"{OOM},sg=on,packed=on",
                  "qemu": paths.QEMU_SG, "append": "virtio.poll=1"}, id="microvm-sg-packed-polled", marks=SG),
)
CHECK = "test balloon_real.the_balloon_is_whole"
CHECK_STILL = "test balloon_real.every_page_is_accounted_for"
CHURN = "run churn threads=2 fill=30 operations=4000 seed="


class Host(threading.Thread):
    """Moves the target, unless somebody holds `still`; every third time it waits for it."""

    def __init__(self, guest, rng):
        super().__init__()
        self.guest, self.rng, self.rounds, self.reached, self.wrong = guest, rng, 0, 0, None
        self.still = threading.Lock()

    def run(self):
        try:
            while self.rounds < ROUNDS:
                with self.still:
                    self.turn()
        except Exception as error:  # shown by the test
            self.wrong = error

    def turn(self):
        target = self.rng.randrange(64, self.guest.machine.memory_bytes // MIB + 1) * MIB
        self.guest.qmp("balloon", value=target)
        self.rounds += 1
        deadline = time.monotonic() + (0.2 if self.rng.random() < 0.3 else 0.005)
        while time.monotonic() < deadline and self.guest.balloon_actual() != target:
            time.sleep(0.001)
        self.reached += self.guest.balloon_actual() == target


def healthy(guest):
    path = balloon.DEVICE if guest.machine.is_microvm else balloon.DEVICE + "/virtio-backend"
    status = guest.qmp("x-query-virtio-status", path=path)
    return not status["broken"] and any("DRIVER_OK" in text for text in status["status"]["statuses"])


@pytest.mark.parametrize("machine", MACHINES)
def test_random_targets(boot, machine):
    print(f"BALLOON_SEED={SEED} BALLOON_ROUNDS={ROUNDS}")
    rng = random.Random(SEED)
    guest = boot(**{"memory": "512M", "smp": 2, **machine})
    guest.qmp("qom-set", path=balloon.DEVICE, property="guest-stats-polling-interval", value=1)
    host = Host(guest, random.Random(SEED + 1))
    host.start()
    turns = 0
    try:
        while host.is_alive() or not turns:
            turns += 1
            assert guest.sh(f"{CHURN}{rng.randrange(1 << 31)}", timeout=120).status == 0  # patterns are whole
            assert guest.sh(CHECK, timeout=120).status == 0
            # More than there may be: the balloon gives back, or the request fails; neither harms.
            assert guest.sh("run touch size=400M reclaim=1", timeout=120).status in (0, 12)
            if turns % 3 == 0:
                assert guest.sh("virtio reset virtio0").status == 0
            if turns % 5 == 1:
                with host.still:
                    balloon.ask(guest, 384 * MIB, timeout=60)
                    assert guest.sh(CHECK_STILL).status == 0
    finally:
        host.join()
    assert host.wrong is None and host.rounds == ROUNDS
    assert host.reached > 0

    # In the end the last target counts, whatever was before.
    # `actual` may have been at it in passing, before the driver read the target.
    deadline = time.monotonic() + 60
    balloon.ask(guest, 256 * MIB, timeout=60)
    while balloon.figures(guest).balloon != 256 * MIB and time.monotonic() < deadline:
        time.sleep(0.05)
    assert balloon.figures(guest).balloon == 256 * MIB
    assert guest.sh(CHECK_STILL).status == 0
    balloon.ask(guest, 512 * MIB, timeout=60)
    assert balloon.figures(guest).balloon == 0
    assert balloon.numbers(guest.sh("cat /proc/meminfo").output)["Balloon"] == 0
    assert healthy(guest)
    assert balloon.statistics(guest)["stat-total-memory"] > 400 * MIB
