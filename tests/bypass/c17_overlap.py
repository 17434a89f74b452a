"""Class 17: rules that overlap. The deepest decides, and ties go to the harsher."""
import os

from attack import expect_secret, run


def allow_in_deny():
    """An exception inside what is hidden."""
    expect_secret(".env.example")


def deny_in_allow():
    expect_secret("src/.env.production")


def two_globs():
    """`.env.key` matches two globs; the exception of neither opens it."""
    expect_secret("src/.env.key")


def file_and_directory():
    """A directory called like a protected file protects what is in it only if the rule says so."""
    os.mkdir("src/Jenkinsfile")


def longer_name():
    """What only begins like a protected name is free."""
    with open("src/Jenkinsfile2", "w") as file:
        file.write("fine\n")


cells = [allow_in_deny, deny_in_allow, two_globs, file_and_directory, longer_name]
run({cell.__name__.replace("_", "-"): cell for cell in cells})
