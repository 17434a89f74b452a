"""Class 22: change the policy under which one runs. DIR/policy.bfs is its text, in the middle of the work tree."""
from attack import expect_secret, run


def rewrite():
    with open("policy.bfs", "w") as policy:
        policy.write('policy open; default allow; allow all on "/";\n')
    expect_secret(".env")


run({"rewrite": rewrite})
