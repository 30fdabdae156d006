"""What is booted. The Makefile builds; this asks it to, and finds the results.

An ISO and an EFI system partition carry the kernel's command line inside, so there is one per command line; ISOs are
kept by their content and made once.
"""
import fcntl
import hashlib
import os
import shutil
import subprocess

from . import paths

OVMF_CODE = ("/usr/share/OVMF/OVMF_CODE_4M.fd", "/usr/share/OVMF/OVMF_CODE.fd", "/usr/share/ovmf/OVMF.fd")


class ImageError(Exception):
    """Something to boot is missing and could not be made."""


def kernel_path(mode):
    return os.path.join(paths.BUILD, mode, "ballonet.elf")


def make(*arguments):
    """Runs make quietly unless it fails."""
    result = subprocess.run(["make", "--no-print-directory", *arguments], cwd=paths.ROOT, stdin=subprocess.DEVNULL,
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if result.returncode:
        tail = "\n".join(result.stdout.rstrip().splitlines()[-12:])
        raise ImageError(f"make {' '.join(arguments)} failed:\n{tail}")
    return result.stdout


def build_for(machine):
    """Builds what @machine boots; a kernel of one's own (--kernel) must be there already."""
    if machine.kernel:
        if not os.path.exists(paths.absolute(machine.kernel)):
            raise ImageError(f"there is no {machine.kernel}")
        return
    make(f"MODE={machine.mode}", "efi" if machine.boot == "efi" else "kernel")


def iso_path(kernel, cmdline):
    """Named after what is in it, so that a name never has two contents."""
    digest = hashlib.sha256(cmdline.encode() + b"\0")
    try:
        with open(paths.absolute(kernel), "rb") as image:
            digest.update(image.read())
    except FileNotFoundError:
        digest.update(kernel.encode())  # for --dry-run before the first build
    return os.path.join(paths.BUILD, "iso", digest.hexdigest()[:16] + ".iso")


def iso(kernel, cmdline):
    path = iso_path(kernel, cmdline)
    os.makedirs(paths.absolute(os.path.dirname(path)), exist_ok=True)
    with open(paths.absolute(path + ".lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # two guests may want the same at once
        if not os.path.exists(paths.absolute(path)):
            run_tool("tools/make-iso", kernel, path, cmdline)
    return path


def run_tool(*argv):
    result = subprocess.run(argv, cwd=paths.ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                            stderr=subprocess.STDOUT, text=True)
    if result.returncode:
        raise ImageError(f"{argv[0]} failed:\n{result.stdout.rstrip()}")


def ovmf_code():
    for path in OVMF_CODE:
        if os.path.exists(path):
            return path
    raise ImageError("there is no UEFI firmware: install the package ovmf (`make deps`)")


def ovmf_vars(directory):
    source = ovmf_code().replace("CODE", "VARS")
    shutil.copyfile(source, paths.absolute(os.path.join(directory, "ovmf-vars.fd")))


def esp(mode, directory, cmdline):
    """An EFI system partition of the guest's own: the application, and the command line beside it."""
    target = paths.absolute(os.path.join(directory, "esp"))
    shutil.copytree(paths.absolute(os.path.join(paths.BUILD, mode, "esp")), target, dirs_exist_ok=True)
    with open(os.path.join(target, "EFI", "BOOT", "cmdline.txt"), "w", encoding="utf-8") as file:
        file.write(cmdline + "\n")
