"""Free page hinting on QEMU's real device: what the guest frees is the host's again, and nothing else is."""
import time

import pytest
from ballonet_lib import balloon

MIB = 1 << 20
GIB = 1 << 30
FOLDER = "/sys/kernel/mm/page_hinting/"
REPORTING = {"balloon": "free-page-reporting=on"}


def track(guest, tracker):
    assert guest.sh(f"echo {tracker} > {FOLDER}tracker").status == 0


def stats(guest):
    return balloon.numbers(guest.sh(f"cat {FOLDER}stats").output)


def falls(guest, bytes_, seconds=60):
    """Does the host's resident size come down to this? On a busy machine that takes its time."""
    deadline = time.monotonic() + seconds
    while guest.rss() > bytes_ and time.monotonic() < deadline:
        time.sleep(0.05)
    return guest.rss() <= bytes_


@pytest.mark.parametrize("tracker", ["bitmap", "freelist"])
def test_freed_memory_is_the_hosts_again(boot, tracker):
    guest = boot(memory="2G", smp=2, **REPORTING)
    before = guest.rss()
    assert guest.sh("run touch size=1536M").status == 0
    assert guest.rss() > before + 1400 * MIB
    track(guest, tracker)
    assert falls(guest, before + 64 * MIB), guest.sh(f"cat {FOLDER}stats").output
    # What is freed while it runs, too.
    assert guest.sh("run touch size=1536M", timeout=120).status == 0
    assert falls(guest, before + 64 * MIB), guest.sh(f"cat {FOLDER}stats").output
    figures = stats(guest)
    assert (figures["lost_pages"], figures["hint_failures"]) == (0, 0)
    assert figures["bytes_reported"] > GIB


def test_both_nodes_are_reported(boot):
    """With state by zone number alone, half of it stayed."""
    guest = boot(memory="1G", smp=2, numa=2, **REPORTING)
    before = guest.rss()
    assert guest.sh("run touch size=900M").status == 0
    touched = guest.rss()
    track(guest, "bitmap")
    assert touched > before + 800 * MIB
    assert falls(guest, before + 64 * MIB), guest.sh(f"cat {FOLDER}stats").output


def test_inflation_and_hinting_share_the_queue(boot):
    guest = boot(memory="1G", smp=2, append="page_hinting.tracker=bitmap page_hinting.delay_ms=1", **REPORTING)
    for target in (300, 900, 400, 1024, 256, 1000, 512, 1024):
        guest.qmp("balloon", value=target * MIB)
        assert guest.sh("run touch size=100M").status == 0
    balloon.ask(guest, 512 * MIB)
    assert balloon.figures(guest).balloon == 512 * MIB
    balloon.ask(guest, 1024 * MIB)
    assert stats(guest)["lost_pages"] == 0


def test_off_and_on_at_any_moment(boot):
    guest = boot(memory="1G", smp=2, append="page_hinting.delay_ms=1", **REPORTING)
    for name in ("bitmap", "none", "freelist", "bitmap", "freelist", "none", "bitmap") * 3:
        track(guest, name)
        assert guest.sh("run touch size=300M").status == 0
    track(guest, "none")
    done = stats(guest)
    assert guest.sh("run touch size=300M").status == 0
    assert stats(guest)["bytes_reported"] == done["bytes_reported"]
    assert done["away_pages"] == 0


def test_settings_out_of_range(boot):
    guest = boot(memory="256M", **REPORTING)
    for name, value in (("min_order", 11), ("min_order", -1), ("delay_ms", 0), ("tracker", "both")):
        before = guest.sh(f"cat {FOLDER}{name}").output
        reply = guest.sh(f"echo {value} > {FOLDER}{name}")
        assert reply.status != 0 and len(reply.log.splitlines()) == 1
        assert guest.sh(f"cat {FOLDER}{name}").output == before


def test_no_use_with_a_poison(boot):
    """QEMU drops nothing while the poison is not 0: it is not asked to. With 0 it drops, and finds zeroes."""
    guest = boot(memory="1G", append="page_hinting.tracker=bitmap virtio_balloon.poison=0xaa", **REPORTING)
    assert "poison 0xaa" in guest.sh("dmesg").log
    assert guest.sh("run touch size=512M").status == 0
    assert stats(guest)["backend"] == 0

    guest = boot(memory="1G", append="page_hinting.tracker=bitmap virtio_balloon.poison=0", **REPORTING)
    assert guest.sh("run touch size=512M").status == 0
    assert falls(guest, 300 * MIB)


def test_six_of_eight_gib(boot):
    guest = boot(memory="8G", smp=2, **REPORTING)
    before = guest.rss()
    assert guest.sh("run touch size=6G", timeout=200).status == 0
    for tracker in ("bitmap", "freelist"):
        assert guest.rss() > before + 6000 * MIB
        track(guest, tracker)
        assert falls(guest, before + 64 * MIB), guest.sh(f"cat {FOLDER}stats").output
        track(guest, "none")
        assert guest.sh("run touch size=6G", timeout=200).status == 0
