"""What all attacks in Python share: see attack.h."""
import errno
import os
import sys

THROUGH, STOPPED, BROKEN = 0, 10, 99


class Stopped(Exception):
    """The sandbox stood in the way, without an error of the system."""


def run(cells):
    cell, directory = sys.argv[1:3]
    if cell not in cells:
        print("broken: no such cell")
        sys.exit(BROKEN)
    os.chdir(directory)
    try:
        cells[cell]()
    except OSError as error:
        print(f"stopped: {cell}: {errno.errorcode.get(error.errno, error.errno)}")
        sys.exit(STOPPED)
    except Stopped as why:
        print(f"stopped: {cell}: {why}")
        sys.exit(STOPPED)
    print(f"through: {cell}")
    sys.exit(THROUGH)


def expect_secret(path):
    with open(path, "rb") as file:
        if b"TOKEN=" not in file.read():
            print("broken: read something else")
            sys.exit(BROKEN)
