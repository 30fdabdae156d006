"""Where things are. All paths that QEMU sees are relative to ROOT, so that a recorded command line can be typed again."""
import os
import shlex

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = "build"
GUESTS = os.path.join(BUILD, "guests")
QEMU_SG = os.path.join(BUILD, "qemu-sg", "qemu-system-x86_64")  # `make qemu-sg`: a balloon with the property sg


def absolute(path):
    return os.path.join(ROOT, path)


def size_bytes(text):
    """"512M" → 536870912; a bare number is MiB, as QEMU has it."""
    text = str(text).strip()
    unit = {"K": 10, "M": 20, "G": 30, "T": 40}.get(text[-1:].upper())
    number = text[:-1] if unit is not None else text
    if not number.isdigit() or int(number) == 0:
        raise ValueError(f'"{text}" is no amount of memory (say 512M or 16G)')
    return int(number) << (20 if unit is None else unit)


def shell_line(argv):
    """The command as one would type it, an option a line."""
    lines = [shlex.quote(argv[0])]
    for word in argv[1:]:
        if word.startswith("-"):
            lines.append(shlex.quote(word))
        else:
            lines[-1] += " " + shlex.quote(word)
    return " \\\n    ".join(lines)
