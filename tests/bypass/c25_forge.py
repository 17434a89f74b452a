"""Class 25: write into the record of refusals, or drown it."""
import os
import stat

from attack import Stopped, run

LINE = b'{"verdict":"allow","path":"/forged"}\n'


def descriptors():
    """Write to whatever has been left open."""
    written = False
    for fd in range(3, 256):
        try:
            if stat.S_ISREG(os.fstat(fd).st_mode) or stat.S_ISFIFO(os.fstat(fd).st_mode):
                os.write(fd, LINE)
                written = True
        except OSError:
            pass
    if not written:
        raise Stopped("nothing is open")


def names():
    """A refused name that looks like two records."""
    try:
        open(b'.git/hooks/x"}\n' + LINE.replace(b"/", b"_"), "w").close()
    except OSError as error:
        raise Stopped("refused") from error


def flood():
    for n in range(20000):
        try:
            os.close(os.open(f".git/hooks/{n}", os.O_CREAT | os.O_WRONLY))
        except OSError as error:
            last = error
        else:
            return
    raise last


run({"descriptors": descriptors, "names": names, "flood": flood})
