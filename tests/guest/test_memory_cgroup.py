"""The memory controller from the shell: tasks with address spaces in groups, limits, moves, groups that go."""
import pytest

ROOT = "/sys/fs/cgroup"
PAGE = 4096
MIB = 1 << 20


def number(guest, group, name="current"):
    return int(guest.sh(f"cat {ROOT}/{group}/memory.{name}").output)


def keyed(guest, group, name):
    """A flat keyed file as a dictionary."""
    return {key: int(value) for key, value in
            (line.split() for line in guest.sh(f"cat {ROOT}/{group}/memory.{name}").lines)}


def do(guest, task, line):
    reply = guest.sh(f'task {task} "{line}"')
    assert reply.status == 0, f"{line}: {reply.output}"
    return reply.output


def begin(guest, task, group, size, flags=""):
    """A task in @group with an address space; the address of an area of @size."""
    assert guest.sh(f"task {task}").status == 0
    do(guest, task, f"echo 0 > {ROOT}/{group}/cgroup.procs")
    do(guest, task, "mm new")
    return do(guest, task, f"mm map anon {size} {flags}")


@pytest.fixture(name="guest")
def fixture_guest(boot):
    guest = boot(memory="256M", smp=2)
    guest.sh(f"mkdir {ROOT}/up {ROOT}/up/a {ROOT}/up/b")
    return guest


def test_charges_limits_and_what_is_said_about_them(guest):
    at = begin(guest, "one", "up/a", "4M", "nohuge")
    do(guest, "one", f"mm touch {at} 2M write")
    assert number(guest, "up/a") == number(guest, "up") == 2 * MIB
    stat = keyed(guest, "up/a", "stat")
    assert (stat["anon"], stat["file"], stat["anon_thp"]) == (2 * MIB, 0, 0)
    assert stat["pgfault"] >= 512

    assert guest.sh(f"cat {ROOT}/up/memory.max").output == "max"
    assert guest.sh(f"echo 3M > {ROOT}/up/memory.max").status == 0
    assert number(guest, "up", "max") == 3 * MIB
    reply = guest.sh(f'task one "mm touch {at} 4M write"')
    assert reply.status != 0 and reply.output
    assert number(guest, "up/a") == number(guest, "up", "peak") == 3 * MIB
    events = keyed(guest, "up", "events")
    assert list(events) == ["low", "high", "max", "oom", "oom_kill"]
    assert events["max"] >= 1 and events["oom"] >= 1 and events["oom_kill"] == 0
    assert keyed(guest, "up/a", "events")["oom"] == 0  # it was the limit above

    # What is given up makes room.
    do(guest, "one", f"mm madvise {at} 1M free")
    do(guest, "one", f"mm touch {int(at, 16) + 3 * MIB:#x} 1M write")
    assert number(guest, "up") == 3 * MIB
    assert keyed(guest, "up", "stat")["pgsteal"] >= 256

    for bad in ("x", "-1", "1 2", '""'):
        reply = guest.sh(f"echo {bad} > {ROOT}/up/memory.max")
        assert reply.status != 0 and len(reply.lines) == 1, bad
    assert number(guest, "up", "max") == 3 * MIB


def test_huge_pages_and_files_count(guest):
    at = begin(guest, "one", "up/a", "4M", "huge")
    do(guest, "one", f"mm write {at} 4 text")
    assert keyed(guest, "up/a", "stat")["anon_thp"] == 2 * MIB
    at = do(guest, "one", "mm map file 9 1M")
    do(guest, "one", f"mm touch {at} 1M")
    assert keyed(guest, "up/a", "stat")["file"] == MIB
    assert number(guest, "up/a") == 3 * MIB
    # A limit below that gets the file's pages back, as far as nobody uses them; the huge page cannot go.
    guest.sh("mm file 9 sync")
    do(guest, "one", f"mm unmap {at} 1M")
    assert guest.sh(f"echo 1M > {ROOT}/up/a/memory.max").status == 0
    assert number(guest, "up/a") == 2 * MIB
    assert keyed(guest, "up/a", "events")["oom"] == 1


def test_tasks_move_with_and_without_their_pages(guest):
    at = begin(guest, "one", "up/a", "4M", "nohuge")
    do(guest, "one", f"mm touch {at} 1M write")
    task = guest.sh(f"cat {ROOT}/up/a/cgroup.procs").output
    guest.sh(f"echo {task} > {ROOT}/up/b/cgroup.procs")
    assert (number(guest, "up/a"), number(guest, "up/b")) == (MIB, 0)
    guest.sh(f"echo {task} > {ROOT}/up/a/cgroup.procs")

    guest.sh(f"echo 1 > {ROOT}/up/b/memory.move_charge_at_immigrate")
    guest.sh(f"echo 512K > {ROOT}/up/b/memory.max")
    assert guest.sh(f"echo {task} > {ROOT}/up/b/cgroup.procs").output.endswith("-ENOMEM")
    assert (number(guest, "up/a"), number(guest, "up/b")) == (MIB, 0)
    assert guest.sh(f"cat {ROOT}/up/a/cgroup.procs").output == task
    guest.sh(f"echo 1M > {ROOT}/up/b/memory.max")
    assert guest.sh(f"echo {task} > {ROOT}/up/b/cgroup.procs").status == 0
    assert (number(guest, "up/a"), number(guest, "up/b"), number(guest, "up")) == (0, MIB, MIB)

    # The group goes, its pages stay charged above until they are freed.
    guest.sh(f"echo {task} > {ROOT}/cgroup.procs")
    assert guest.sh(f"rmdir {ROOT}/up/b").status == 0
    assert number(guest, "up") == MIB
    do(guest, "one", f"mm unmap {at} 4M")
    assert number(guest, "up") == 0


def test_disabled_on_the_command_line(boot):
    guest = boot(memory="128M", append="cgroup_disable=memory")
    assert guest.sh(f"mkdir {ROOT}/a").status == 0
    assert guest.sh(f"cat {ROOT}/a/cgroup.controllers").output == "gpu"
    assert "memory.current" not in guest.sh(f"ls {ROOT}/a").output.split()
    at = begin(guest, "one", "a", "1M")
    do(guest, "one", f"mm touch {at} 1M write")
    assert guest.sh("task one end").status == 0


def test_limits_hold_on_four_cpus(boot):
    guest = boot(memory="256M", smp=4)
    reply = guest.sh("test memcg*", timeout=120)
    assert reply.status == 0, reply.output
