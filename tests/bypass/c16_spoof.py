"""Class 16: be taken for the executable that holds the role. DIR/bin/keeper is a shell, and `keeper` its role."""
import os
import resource
import shutil
import subprocess

from attack import Stopped, expect_secret, run

READ = "read line < vault/secret && echo $line"


def try_with(argv, **options):
    done = subprocess.run(argv, capture_output=True, text=True, **options)
    if "TOKEN=" not in done.stdout:
        raise Stopped("no role")


def copy():
    shutil.copy("bin/keeper", "tmp/keeper")
    try_with(["tmp/keeper", "-c", READ])


def argv0():
    try_with(["bin/keeper", "-c", READ], executable="/bin/sh")


def loader():
    """The dynamic loader, told to run the program: the executable is the loader."""
    try_with(["/lib64/ld-linux-x86-64.so.2", os.path.abspath("bin/keeper"), "-c", READ])


def memfd():
    fd = os.memfd_create("keeper")
    with open("bin/keeper", "rb") as file:
        os.write(fd, file.read())
    try_with([f"/proc/self/fd/{fd}", "-c", READ], pass_fds=[fd])


def hard_link():
    os.link("bin/keeper", "tmp/linked")
    try_with(["tmp/linked", "-c", READ])


def replace():
    shutil.copy("/bin/dash", "tmp/mine")
    os.rename("tmp/mine", "bin/keeper")
    try_with(["bin/keeper", "-c", READ])


def script():
    """A script is run by its interpreter: the script's name gives no role, its interpreter's does."""
    with open("tmp/script", "w") as file:
        file.write(f"#!/bin/sh\n{READ}\n")
    os.chmod("tmp/script", 0o755)
    try_with([os.path.abspath("tmp/script")])


def child():
    """What the holder of a role runs next is somebody else."""
    try_with(["bin/keeper", "-c", "exec /bin/cat vault/secret"])


def memory():
    """Code of one's own in the process that holds the role."""
    holder = subprocess.Popen(["bin/keeper"], stdin=subprocess.PIPE)
    try:
        # It runs once it has started, not before: until then its memory is this program's.
        while os.path.basename(os.readlink(f"/proc/{holder.pid}/exe")) != "keeper":
            pass
        start = None
        while start is None:
            with open(f"/proc/{holder.pid}/maps") as maps:
                start = next((int(line.split("-")[0], 16) for line in maps if " r-xp " in line), None)
        memory = os.open(f"/proc/{holder.pid}/mem", os.O_RDWR)
        os.pwrite(memory, os.pread(memory, 1, start), start)
    finally:
        holder.kill()


def core():
    """The memory of who holds the role, as a file."""
    _, most = resource.getrlimit(resource.RLIMIT_CORE)
    if most == 0:
        raise Stopped("no core dumps")


def symlink():
    """No attack: whoever runs it by another name runs the same file."""
    os.symlink("../bin/keeper", "tmp/also")
    try_with(["tmp/also", "-c", READ])


def direct():
    expect_secret("vault/secret")


cells = [copy, argv0, loader, memfd, hard_link, replace, script, child, memory, core, symlink, direct]
run({cell.__name__.replace("_", "-"): cell for cell in cells})
