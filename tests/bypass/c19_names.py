"""Class 19: names that trip programs up."""
import os

from attack import expect_secret, run


def hook(name):
    os.close(os.open(name, os.O_CREAT | os.O_WRONLY))


run({
    "slashes": lambda: expect_secret(".//.//.env"),
    "dots": lambda: expect_secret("src/../src/./../.env"),
    "up-and-back": lambda: expect_secret(f"../{os.path.basename(os.getcwd())}/.env"),
    "not-utf8": lambda: hook(b".git/hooks/\xff\xfe"),
    "newline": lambda: hook(".git/hooks/a\nb"),
    "not-utf8-secret": lambda: expect_secret(b"src/\xff/.env"),
    "longest-name": lambda: hook(".git/hooks/" + "n" * 255),
    "trailing-slash": lambda: os.mkdir(".git/hooks/d/"),
})
