"""The same function, after somebody got to its dependencies: it counts words, and then it looks around."""
import pathlib

own = pathlib.Path(__file__).resolve().parent.parent
functions = own.parent


def attempt(what, action):
    try:
        print(f"{what}: {action()!r}", flush=True)
    except OSError as error:
        print(f"{what}: {error.strerror}", flush=True)


attempt("its input", (own / "in" / "text").read_text)
attempt("who else is here", lambda: sorted(path.name for path in functions.iterdir()))
attempt("another tenant's key", (functions / "billing" / "code" / "key.pem").read_text)
attempt("a back door for its next run", lambda: (own / "code" / "handler.py").write_text("evil"))
attempt("a full disk", lambda: (own / "out" / "junk").write_bytes(bytes(64 << 20)))
attempt("the host's passwords", pathlib.Path("/etc/shadow").read_text)
print("it is still alive")
