"""Class 18: learn that something exists which is hidden. `.env` exists, `src/.env` does not."""
import errno
import os

from attack import Stopped, run


def outcome(call, path):
    try:
        call(path)
    except OSError as error:
        return errno.errorcode[error.errno]
    return "no error"


def differs(call, undo=None):
    """Whether a call tells the hidden file from one that is not there."""
    answers = []
    for path in (".env", "src/.env"):
        answers.append(outcome(call, path))
        if answers[-1] == "no error" and undo:
            undo(path)
    if answers[0] == answers[1]:
        raise Stopped(f"{answers[0]} for both")


def access(path):
    if not os.access(path, os.F_OK):
        raise FileNotFoundError(errno.ENOENT, path)


def listed():
    if ".env" not in os.listdir("."):
        raise Stopped("not listed")


def make(path):
    os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY))


def onto(path):
    with open("src/mine", "w"):
        pass
    os.link("src/mine", path)


run({
    "stat": lambda: differs(os.lstat),
    "access": lambda: differs(access),
    "chdir": lambda: differs(os.chdir),
    "open": lambda: differs(lambda path: os.close(os.open(path, os.O_RDONLY))),
    "o-path": lambda: differs(lambda path: os.close(os.open(path, os.O_PATH))),
    "create": lambda: differs(make, os.unlink),
    "mkdir": lambda: differs(os.mkdir, os.rmdir),
    "symlink": lambda: differs(lambda path: os.symlink("x", path), os.unlink),
    "link": lambda: differs(onto, os.unlink),
    "unlink": lambda: differs(os.unlink),
    "rmdir": lambda: differs(os.rmdir),
    "readlink": lambda: differs(os.readlink),
    "getxattr": lambda: differs(os.listxattr),
    "below": lambda: differs(lambda path: os.lstat(path + "/x")),
    "listed": listed,
})
