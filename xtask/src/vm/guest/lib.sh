# What the tests share. A test is a script run by `sh -eu` in an empty directory; it passes if it ends with 0.

# fail MESSAGE: ends the test.
fail() {
    echo "FAIL: $*"
    exit 1
}

# want STATUS COMMAND...: the command must end with that status. Its output is shown in the test's log.
want() {
    want=$1
    shift
    got=0
    "$@" || got=$?
    [ "$got" = "$want" ] || fail "status $got, not $want: $*"
}

# same FILE FILE: the files must be equal.
same() {
    diff "$1" "$2" || fail "$1 and $2 differ"
}

# has FILE TEXT: the text must stand in the file.
has() {
    grep -qF -- "$2" "$1" || { cat "$1"; fail "$1 lacks '$2'"; }
}

# as_user COMMAND...: runs it as alice, with her groups and no capabilities.
as_user() {
    su -s /bin/sh -c 'exec "$@"' -- alice sh "$@"
}

# turns DIR: a script on standard output by which a sandbox and a test take turns: `tell X`, and `await X`, by files in DIR.
turns() {
    cat <<T
tell() { : >"$1/\$1"; }
await() {
    waited=0
    while [ ! -e "$1/\$1" ]; do
        sleep 0.1
        waited=\$((waited + 1))
        [ \$waited -lt 600 ] || exit 90
    done
}
T
}

# stress_site NAME: a policy in policy.bfs, and the trees that /lab/bin/stress moves about and looks into.
stress_site() {
    cat >policy.bfs <<P
policy $1;
default deny;
allow view, exec on "/usr/", "/lab/", "/bin/", "/lib*/";
allow stat on "/*", "/*/*";
allow all on "/srv/stress/";
deny read, write on "/srv/stress/**/secret";
deny write on "/srv/stress/**/fixed";
P
    for place in /srv/stress/w0 /srv/stress/w1 /srv/stress/w2 /srv/stress/w3; do
        for d in 0 1 2 3 4 5 6 7; do
            mkdir -p "$place/d$d/inner"
            for file in secret fixed plain inner/secret inner/fixed inner/plain; do echo x >"$place/d$d/$file"; done
        done
    done
}

# registered OBJECT DIR: bpftool registers the object's policy with the module, by a pin in a directory for pins.
registered() {
    # Version 7.5 ends by a signal when it tells what it has registered, if that belongs to a module.
    bpftool struct_ops register "$1" "$2" >said 2>&1 || true
    [ -e "$2/boesfs_policy" ] || { cat said; fail "$1 is not registered"; }
}

# unused: nothing holds the module, and it leaves nothing: it is taken out, and put back. What holds it may take some time to go.
unused() {
    for try in $(seq 100); do
        rmmod boesfs 2>/dev/null && break
        usleep 100000
    done
    [ ! -d /sys/module/boesfs ] || fail "the module is still used: $(lsmod | grep boesfs)"
    ! grep -q '^boesfs' /proc/slabinfo || fail "a cache is left: $(grep '^boesfs' /proc/slabinfo)"
    insmod /lab/modules/99-boesfs.ko
}

# binder: a program by which mounts get their policy by a descriptor, binder.py in this directory:
#   mount LOWER WHERE POLICY    by fsopen(2), of class 0
#   remount WHERE POLICY        by fspick(2)
#   swing WHERE FILE POLICY POLICY   the one and the other in turn, by the links that agents hold, until there is the file; says how often
# POLICY is what fsconfig(2) is given: `name:NAME`, `link:PIN`, `agent:PID` (the link that an agent holds), `file:PATH`,
# `cgroup:PATH` (a link that has nothing to do with policies), `flag:`; with `gone,` before it the policy goes before there is a mount.
# What the kernel says of it is on standard output.
binder() {
    cat >binder.py <<'P'
import ctypes, os, struct, sys

libc = ctypes.CDLL(None, use_errno=True)

def call(number, *args):
    got = libc.syscall(number, *args)
    if got < 0:
        raise OSError(ctypes.get_errno(), "")
    return got

def bpf(command, attributes):
    buffer = ctypes.create_string_buffer(attributes.ljust(128, b"\0"), 128)
    return call(321, command, buffer, 128)

def address(buffer):
    return ctypes.addressof(buffer)

def pinned(path):
    name = ctypes.create_string_buffer(path.encode())
    return bpf(7, struct.pack("<Q", address(name)))

def held(pid):
    agent = os.pidfd_open(pid)
    for number in os.listdir(f"/proc/{pid}/fd"):
        if os.readlink(f"/proc/{pid}/fd/{number}") in ("anon_inode:bpf_link", "anon_inode:bpf-link"):
            return call(438, agent, int(number), 0)
    sys.exit("it holds no link")

def of_cgroup(path):
    code = ctypes.create_string_buffer(bytes.fromhex("b700000001000000 9500000000000000"), 16)
    licence = ctypes.create_string_buffer(b"GPL")
    program = bpf(5, struct.pack("<IIQQ", 8, 2, address(code), address(licence)))
    return bpf(28, struct.pack("<IIII", program, os.open(path, os.O_RDONLY), 0, 0))

def give(context, policy):
    early, kind, value = "gone," in policy, *policy.removeprefix("gone,").split(":", 1)
    fd = None
    if kind == "name":
        call(431, context, 1, b"policy", value.encode(), 0)
    elif kind == "flag":
        call(431, context, 0, b"policy", None, 0)
    else:
        ways = {"link": pinned, "agent": lambda pid: held(int(pid)), "file": lambda path: os.open(path, os.O_RDONLY), "cgroup": of_cgroup}
        fd = ways[kind](value)
        call(431, context, 5, b"policy", None, fd)
    if early:
        bpf(34, struct.pack("<I", fd))

def judged(lower, where, policy):
    context = call(430, b"boesfs", 0)
    try:
        for key, value in (b"lower", lower.encode()), (b"class", b"0"), (b"source", b"none"):
            call(431, context, 1, key, value, 0)
        give(context, policy)
        call(431, context, 6, None, None, 0)
        call(429, call(432, context, 0, 0), b"", -100, where.encode(), 4)
    except OSError as error:
        refused(context, error)

def rebind(where, give_it):
    context = call(433, -100, where.encode(), 0)
    try:
        give_it(context)
        call(431, context, 7, None, None, 0)
    except OSError as error:
        refused(context, error)
    os.close(context)

def again(where, policy):
    rebind(where, lambda context: give(context, policy))

def swing(where, until, *policies):
    links = [held(int(policy.removeprefix("agent:"))) for policy in policies]
    count = 0
    while not os.path.exists(until):
        rebind(where, lambda context: call(431, context, 5, b"policy", None, links[count % 2]))
        count += 1
    print(count)

def refused(context, error):
    try:
        said = os.read(context, 4096).decode()
    except OSError:
        said = "nothing is said of it"
    print(f"{os.strerror(error.errno)}: {said}")
    sys.exit(1)

{"mount": judged, "remount": again, "swing": swing}[sys.argv[1]](*sys.argv[2:])
P
}
