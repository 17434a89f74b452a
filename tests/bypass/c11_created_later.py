"""Class 11: what is protected is not there when the sandbox begins. It is made later, in every way there is."""
import os
import subprocess

from attack import run


def mkdir_p():
    os.makedirs("src/new/.git/hooks")
    with open("src/new/.git/hooks/pre-commit", "w") as hook:
        hook.write("evil\n")


def git_init():
    done = subprocess.run(["git", "init", "--quiet", "src/cloned"], capture_output=True, text=True)
    if done.returncode:
        raise PermissionError(1, done.stderr.splitlines()[-1])
    with open("src/cloned/.git/hooks/pre-commit", "w") as hook:
        hook.write("evil\n")


def rename_into():
    with open("src/harmless", "w") as script:
        script.write("evil\n")
    os.rename("src/harmless", "src/Jenkinsfile")


def rename_tree():
    os.makedirs("src/new/workflows")
    with open("src/new/workflows/ci.yml", "w") as script:
        script.write("evil\n")
    os.rename("src/new", "src/.github")


def secret():
    with open("src/.env", "w") as env:
        env.write("TOKEN=mine\n")


run({"mkdir-p": mkdir_p, "git-init": git_init, "rename-into": rename_into, "rename-tree": rename_tree, "secret": secret})
