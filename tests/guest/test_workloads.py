"""Workloads as programs see them: their result line, their trace in both forms, and that a run can be repeated."""
import json
import re

from ballonet_lib import paths

# The regular expressions of Linux's trace-pagealloc-postprocess.pl, for today's text and for the classic one.
CLASSIC_LINE = re.compile(r"\s*([a-zA-Z0-9-]*)\s*(\[[0-9]*\])\s*([0-9.]*):\s*([a-zA-Z_]*):\s*(.*)")
CLASSIC_DETAILS = re.compile(
    r"page=([0-9a-f]*) pfn=([0-9]*) alloc_order=([-0-9]*) fallback_order=([-0-9]*) pageblock_order=([-0-9]*) "
    r"alloc_migratetype=([-0-9]*) fallback_migratetype=([-0-9]*) fragmenting=([-0-9]) change_ownership=([-0-9])")
TODAY = re.compile(
    r"\s*(\S+)\s+(\[[0-9]*\])\s+([d.][.N][h.][0-9.][.])\s+([0-9.]*): (mm_page_alloc_extfrag): page=0x[0-9a-f]+ "
    r"pfn=0x[0-9a-f]+ alloc_order=\d+ fallback_order=\d+ pageblock_order=9 .*fragmenting=[01] change_ownership=[01]")
SWITCH = re.compile(
    r"\s*(.+)-(\d+)\s+\[(\d+)\] d[.h.]*\S+\s+[0-9.]*: sched_switch: prev_comm=(\S+) prev_pid=(\d+) prev_prio=1[02]0 "
    r"prev_state=[RSX] ==> next_comm=(\S+) next_pid=(\d+) next_prio=1[02]0")
EXTFRAG = "/sys/kernel/tracing/events/kmem/mm_page_alloc_extfrag/enable"


def test_the_fallback_event_in_todays_and_in_the_classic_form(boot):
    guest = boot(memory="256M", smp=2)
    assert guest.sh(f"echo 1 > {EXTFRAG}").status == 0
    assert guest.sh("run churn operations=20000 fill=95").status == 0
    assert guest.sh("echo 0 > /sys/kernel/tracing/tracing_on").status == 0
    today = [line for line in guest.sh("cat /sys/kernel/tracing/trace").lines if "extfrag" in line]
    assert guest.sh("echo 1 > /sys/kernel/tracing/options/classic").status == 0
    classic = [line for line in guest.sh("cat /sys/kernel/tracing/trace").lines if "extfrag" in line]
    assert today and len(today) == len(classic)
    for new, old in zip(today, classic):
        assert TODAY.fullmatch(new), new
        line = CLASSIC_LINE.fullmatch(old)
        assert line and line[4] == "mm_page_alloc_extfrag", old
        details = CLASSIC_DETAILS.fullmatch(line[5])
        assert details, old
        assert int(details[2]) == int(re.search(r"pfn=(0x[0-9a-f]+)", new)[1], 16)


def test_who_ran_after_whom_is_traced_in_linux_text(boot):
    """On every CPU one switch begins with whom the one before ended; who was woken runs later."""
    guest = boot(memory="256M", smp=2)
    assert guest.sh("echo 1 > /sys/kernel/tracing/events/sched/enable").status == 0
    assert guest.sh("run churn operations=2000 threads=3").status == 0
    assert guest.sh("echo 0 > /sys/kernel/tracing/tracing_on").status == 0
    running, woken, ran = {}, set(), set()
    for line in guest.sh("cat /sys/kernel/tracing/trace").lines:
        if "sched_wakeup" in line:
            woken.add(re.search(r"sched_wakeup: comm=(\S+) pid=\d+ prio=1[02]0 target_cpu=00[01]$", line)[1])
        elif "sched_switch" in line:
            switch = SWITCH.fullmatch(line)
            assert switch and switch[2] == switch[5], line
            assert running.get(switch[3], switch[5]) == switch[5], line
            running[switch[3]] = switch[7]
            ran.add(switch[6])
    assert {"churner", "init"} <= woken & ran and set(running) == {"000", "001"}


def test_two_runs_with_one_seed_are_the_same_to_the_byte(start):
    """Times included, by QEMU's instruction counter; another seed gives another run."""
    texts = []
    for seed in (1, 1, 2):
        guest = start(f'run="run churn operations=5000 threads=2 seed={seed}; run frag rounds=3 seed={seed}; exit"',
                      memory="256M", smp=2, accel="icount")
        assert guest.wait(120).kind.value == 0
        texts.append(guest.console)
    assert texts[0] == texts[1]
    assert texts[0].replace("seed=1", "seed=2") != texts[2]


def test_every_result_line_is_json(boot):
    guest = boot(memory="256M", smp=2)
    for line in ("churn operations=2000", "frag rounds=1", "thpfioscale written=20 mapped=10"):
        reply = guest.sh(f"run {line}", timeout=120)
        assert reply.status == 0, reply.output
        result = json.loads(next(text for text in reply.lines if text.startswith("json "))[5:])
        assert result["workload"] == line.split()[0]


def test_the_documented_matrix_is_what_the_consumers_ask(boot):
    with open(paths.absolute("docs/address-spaces.md"), encoding="utf-8") as file:
        page = file.read()
    table = page.split("<!-- matrix: begin -->\n")[1].split("\n<!-- matrix: end -->")[0]
    assert boot(memory="256M", smp=2).sh("cat /sys/kernel/debug/vm_matrix").output.strip() == table


def test_one_runs_in_the_background(boot):
    guest = boot(memory="256M", smp=2)
    assert guest.sh("run wait").status != 0
    assert guest.sh("run churn threads=1 fill=5 operations=20000 &").status == 0
    assert guest.sh("run touch size=1M").status == 0  # beside it
    assert guest.sh("run touch size=1M &").status != 0  # one at a time, until it was waited for
    assert guest.sh("run wait").status == 0
    assert guest.sh("run nothing &").status == 0
    assert guest.sh("run wait").status != 0
