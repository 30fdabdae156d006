"""Groups and the gpu controller from the shell: on, disabled on the command line, left out of the build."""
from ballonet_lib import images

ROOT = "/sys/fs/cgroup"


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
    assert guest.sh(f"cat {ROOT}/cgroup.controllers").output == "gpu"


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
    assert guest.sh(f"cat {ROOT}/a/cgroup.controllers").output == ""
    assert "gpu.memory" not in guest.sh(f"ls {ROOT}/a").output
    assert guest.sh(f"echo 0 > {ROOT}/a/cgroup.procs").status == 0
