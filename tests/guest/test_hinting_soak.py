"""No data is lost: every page in use is named, memory churns on all CPUs, and the host really drops what it is told.

HINTING_SECONDS=120 for each round; `make soak-hinting` does that."""
import os

import pytest
from ballonet_lib import balloon, plot_hints

FOLDER = "/sys/kernel/mm/page_hinting/"
SECONDS = int(os.environ.get("HINTING_SECONDS", "4"))


@pytest.mark.parametrize("tracker, min_order", [("bitmap", 9), ("freelist", 9), ("bitmap", 3), ("freelist", 3)])
def test_no_pattern_is_ever_wrong(boot, tracker, min_order):
    guest = boot(memory="1G", smp=4, numa=2, balloon="free-page-reporting=on", append="page_hinting.delay_ms=1 "
                 f"page_hinting.min_order={min_order} page_hinting.tracker={tracker}")
    for _ in range(15):  # how many are told in a time is the host's business: a busy one needs 100 ms for some
        reply = guest.sh(f"run patterns seconds={SECONDS} size=700M", timeout=SECONDS + 120)
        assert reply.status == 0 and reply.output.endswith(" 0 wrong"), reply
        figures = balloon.numbers(guest.sh(f"cat {FOLDER}stats").output)
        if figures["blocks_reported"] > 100:
            break
    assert figures["blocks_reported"] > 100 and figures["lost_pages"] == 0, figures


def test_shortage_while_blocks_are_away(boot):
    """More is wanted than there is: nobody fails for ever because of hinting, and nothing is lost."""
    guest = boot(memory="512M", smp=2, balloon="free-page-reporting=on,deflate-on-oom=on",
                 append="page_hinting.delay_ms=1 page_hinting.tracker=bitmap")
    reply = guest.sh(f"run patterns seconds={SECONDS} size=2G", timeout=SECONDS + 120)
    assert reply.status == 0 and reply.output.endswith(" 0 wrong"), reply
    assert guest.sh("run touch size=300M").status == 0


def test_the_workload_compares_trackers(boot):
    guest = boot(memory="2G", smp=2, balloon="free-page-reporting=on")
    reply = guest.sh("run hints seconds=1", timeout=120)
    assert reply.status == 0, reply
    rows = {line.split()[0]: line.split() for line in reply.lines if line and not line.startswith("json")}
    assert int(rows["none"][1]) == 0
    assert int(rows["bitmap"][1]) > 0 and int(rows["freelist"][1]) > 0
    # The same figures are in the lines that `tools/ballonet plot` reads.
    results = plot_hints.read(reply.output)
    assert [result["tracker"] for result in results] == list(plot_hints.TRACKERS)
    assert [str(result["blocks"]) for result in results] == [rows[tracker][1] for tracker in plot_hints.TRACKERS]
