"""Groups and the gpu controller from the shell: on, disabled on the command line, left out of the build."""
from ballonet_lib import images

ROOT = "/sys/fs/cgroup"
VRAM = 16 << 20


def charges(guest, group, name="current"):
    """A group's flat keyed file as a dictionary."""
    lines = guest.sh(f"cat {ROOT}/{group}/gpu.memory.{name}").lines
    return {key: int(value) if value.isdigit() else value for key, value in (line.split() for line in lines)}


def begin(guest, task, group):
    """A task that sits in @group."""
    assert guest.sh(f"task {task}").status == 0
    assert guest.sh(f'task {task} "echo 0 > {ROOT}/{group}/cgroup.procs"').status == 0


def with_vram(tmp_path):
    """QEMU's options for device memory, and the file that is its content."""
    path = tmp_path / "vram"
    return path, ["-object", f"memory-backend-file,id=vram,size={VRAM},mem-path={path},share=on",
                  "-device", "ivshmem-plain,memdev=vram"]


def test_groups_are_directories(boot):
    guest = boot(memory="128M")
    assert guest.sh(f"mkdir {ROOT}/a {ROOT}/a/b").status == 0
    assert guest.sh(f"mkdir {ROOT}/a").status != 0
    assert guest.sh(f"rmdir {ROOT}/a").output.endswith("-EBUSY")
    assert guest.sh(f"echo 0 > {ROOT}/a/b/cgroup.procs").status == 0
    assert guest.sh(f"rmdir {ROOT}/a/b").output.endswith("-EBUSY")
    shell = guest.sh(f"cat {ROOT}/a/b/cgroup.procs").output
    assert guest.sh(f"echo {shell} > {ROOT}/cgroup.procs").status == 0
    assert guest.sh(f"rmdir {ROOT}/a/b {ROOT}/a").status == 0
    assert guest.sh(f"cat {ROOT}/cgroup.controllers").output == "gpu memory"


def test_controller_disabled_on_the_command_line(boot):
    guest = boot(memory="128M", append="cgroup_disable=gpu,nothing")
    log = guest.sh("dmesg").log
    assert "controller gpu is disabled" in log
    assert "cgroup_disable=nothing" in log
    check_without_controller(guest)


def test_controller_left_out_of_the_build(boot):
    images.make("MODE=release", "GPU=off", "kernel")
    check_without_controller(boot(memory="128M", kernel="build/release/ballonet-gpu-off.elf"))


def check_without_controller(guest):
    """Groups work all the same; what charges does so for nothing."""
    assert guest.sh(f"mkdir {ROOT}/a").status == 0
    assert guest.sh(f"cat {ROOT}/a/cgroup.controllers").output == "memory"
    assert "gpu.memory" not in guest.sh(f"ls {ROOT}/a").output
    assert guest.sh(f"echo 0 > {ROOT}/a/cgroup.procs").status == 0
    assert guest.sh("dmabuf alloc system 1M").output == "1"
    assert guest.sh("dmabuf").lines[1].split()[:4] == ["1", "1048576", "system", "-"]
    assert guest.sh("dmabuf free 1").status == 0


def test_buffers_from_each_source_are_charged_to_who_allocates_them(boot, tmp_path):
    vram, options = with_vram(tmp_path)
    guest = boot(memory="256M", smp=2, balloon="off", extra=options)
    guest.sh(f"mkdir {ROOT}/up {ROOT}/up/giver {ROOT}/up/taker")
    begin(guest, "a", "up/giver")
    begin(guest, "b", "up/taker")
    assert charges(guest, "", "capacity") == {"vram0": VRAM}

    assert guest.sh('task a "dmabuf alloc system 5M"').output == "1"
    assert guest.sh('task a "dmabuf alloc vram0 64K"').output == "2"
    assert charges(guest, "up/giver") == {"system": 5 << 20, "vram0": 64 << 10}

    # Passed on, it stays charged to its allocator; the last release uncharges it.
    assert guest.sh('task b "dmabuf take 1"').status == 0
    assert guest.sh('task a "dmabuf free 1"').status == 0
    assert charges(guest, "up/giver")["system"] == charges(guest, "up")["system"] == 5 << 20
    assert guest.sh('task b "dmabuf transfer 1"').status == 0
    assert (charges(guest, "up/giver")["system"], charges(guest, "up/taker")["system"]) == (0, 5 << 20)
    assert guest.sh('task b "dmabuf free 1"').status == 0
    assert charges(guest, "up")["system"] == 0

    # The host's file has the same bytes, both ways.
    assert guest.sh('task a "dmabuf write 2 4094 hello"').status == 0
    with open(vram, "r+b") as file:
        file.seek(4094)
        assert file.read(5) == b"hello"
        file.seek(0)
        file.write(b"from the host")
    assert guest.sh("dmabuf read 2 0 13").output == "from the host"

    # A limit, and a group that goes while its buffer lives.
    guest.sh(f'echo "vram0 1M" > {ROOT}/up/gpu.memory.max')
    assert "-ENOMEM" in guest.sh('task b "dmabuf alloc vram0 1M"').output
    assert charges(guest, "up/taker", "events")["vram0"] == "max=0"
    assert charges(guest, "up", "events")["vram0"] == "max=1"
    guest.sh(f'task a "echo 0 > {ROOT}/cgroup.procs"')
    assert guest.sh(f"rmdir {ROOT}/up/giver").status == 0
    assert charges(guest, "up")["vram0"] == 64 << 10
    assert guest.sh("task a end").status == 0  # and with it its handle
    assert charges(guest, "up")["vram0"] == 0
    assert guest.sh("dmabuf").lines[1:] == []


def test_limits_hold_on_four_cpus(boot):
    guest = boot(memory="256M", smp=4)
    reply = guest.sh("test gpucg*,page_counter*,dma_buf*", timeout=120)
    assert reply.status == 0, reply.output
