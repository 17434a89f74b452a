# Two names of one object, alike until a new policy refuses one of them: descriptors of either still lead to the one inode that there was,
# and what is asked of it through /proc/self/fd is not answered by the other name.
# seconds: 200
. /lab/lib.sh

dir=/srv/names
mkdir -p $dir/sign
cat >first.bfs <<'P'
policy names;
default deny;
allow view, exec on "/usr/", "/lib*/", "/bin/", "/etc/", "/proc/", "/dev/";
allow stat on "/*", "/*/*";
allow all on "/srv/names/";
P
cp first.bfs second.bfs
cat >>second.bfs <<'P'
deny read, write, append, map, exec, watch, stat on "/srv/names/**/refused";
P
cat >$dir/probe.py <<'E2'
import ctypes, errno, os, sys, time

base = "/srv/names/"
libc = ctypes.CDLL(None, use_errno=True)
inotify = libc.inotify_init1(os.O_NONBLOCK)

def opens(path, flags):
    try:
        os.close(os.open(path, flags | os.O_NONBLOCK))
        return True
    except OSError as error:
        # Nobody reads at the other end: the FIFO would have been opened.
        return error.errno == errno.ENXIO

ways = {
    "access": lambda path: os.access(path, os.R_OK),
    "exists": lambda path: os.access(path, os.F_OK),
    "read": lambda path: opens(path, os.O_RDONLY),
    "write": lambda path: opens(path, os.O_WRONLY),
    "watch": lambda path: libc.inotify_add_watch(inotify, path.encode(), 2) >= 0,
}

# By the order in which they are looked up, each name is once the last that the inode has got.
held = {}
for kind in "file", "fifo":
    for order in ("allowed", "refused"), ("refused", "allowed"):
        place = f"{base}{kind}-{order[0]}/"
        for name in order:
            held[kind, order[0], name] = os.open(place + name, os.O_PATH)
for (kind, first, name), fd in held.items():
    for way, works in ways.items():
        if not works(f"/proc/self/fd/{fd}"):
            sys.exit(f"before: {way} {kind} {first} {name}")
open(base + "sign/ready", "w")
while not os.path.exists(base + "sign/go"):
    time.sleep(0.1)
wrong = 0
for (kind, first, name), fd in held.items():
    for way, works in ways.items():
        answer = works(f"/proc/self/fd/{fd}")
        if answer and name == "refused":
            print(f"granted: {way} {kind} {first} first, {name}")
            wrong += 1
# By path each is judged by itself, and nothing is refused that is allowed.
for kind in "file", "fifo":
    for first in "allowed", "refused":
        for way, works in ways.items():
            for name in "allowed", "refused":
                if works(f"{base}{kind}-{first}/{name}") != (name == "allowed"):
                    print(f"by path: {way} {kind} {first} first, {name}")
                    wrong += 1
sys.exit(wrong != 0)
E2
for first in allowed refused; do
    mkdir $dir/file-$first $dir/fifo-$first
    echo x >$dir/file-$first/allowed
    mkfifo $dir/fifo-$first/allowed
    for kind in file fifo; do ln $dir/$kind-$first/allowed $dir/$kind-$first/refused; done
done
cp first.bfs live.bfs
boesfs exec --hook kmod --quiet --no-native live.bfs -- python3 $dir/probe.py >said 2>&1 &
agent=$!
for try in $(seq 300); do
    [ ! -e $dir/sign/ready ] || break
    usleep 100000
done
[ -e $dir/sign/ready ] || { cat said; fail "the sandbox did not start"; }
cp second.bfs live.bfs
want 0 boesfs reload "$agent"
: >$dir/sign/go
status=0
wait "$agent" || status=$?
cat said
[ "$status" = 0 ] || fail "status $status"
