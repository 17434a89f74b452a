"""Class 12: a granted file is replaced whole, as editors and package managers do. It must stay granted."""
import os

from attack import run


def replaced():
    for _ in range(3):
        with open("src/main.c.tmp", "w") as new:
            new.write("int main(void) { return 0; }\n")
        os.rename("src/main.c.tmp", "src/main.c")
        with open("src/main.c", "r+") as file:
            file.write("//")


run({"replaced": replaced})
