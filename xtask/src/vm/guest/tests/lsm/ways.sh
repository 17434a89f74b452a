# What programs of the BPF LSM hook must see apart from opening and naming files: access(2), ACLs, sockets with a path, links in
# walks without references, descriptors that are received, appending that is none.
# seconds: 500
. /lab/lib.sh

mkdir -p /srv/w/open /srv/w/shut
cd /srv/w
for file in stated unstated one log acl-chmod acl-setxattr acl-mode acl plain; do echo "$file" >$file; done
ln stated unstated-too
ln one two
ln -s plain link
ln -s plain free
chmod 4755 acl-mode
cp /lab/bin/actor unmapped

cat >policy.bfs <<'P'
policy ways;
default allow;
deny stat on "/srv/w/unstated", "/srv/w/unstated-too";
deny chmod on "/srv/w/acl-chmod";
deny setxattr on "/srv/w/acl-setxattr";
deny chmod on "/srv/w/acl*" when mode & 0o4000 != 0;
deny write on "/srv/w/shut/", "/srv/w/log";
deny readlink on "/srv/w/link";
deny map on "/srv/w/unmapped";
P

cat >outside.py <<'P'
import _socket as s, array, os
kept = []
for place in "open", "shut":
    for kind, name in (s.SOCK_STREAM, "stream"), (s.SOCK_DGRAM, "datagram"):
        bound = s.socket(s.AF_UNIX, kind)
        bound.bind(f"/srv/w/{place}/{name}")
        if kind == s.SOCK_STREAM:
            bound.listen(5)
        kept.append(bound)
open("/srv/w/ready", "w").close()
for path, flags in ("/srv/w/plain", os.O_RDONLY), ("/srv/w", os.O_PATH), ("/srv/w", os.O_RDONLY):
    fd, _ = kept[0]._accept()
    peer = s.socket(fileno=fd)
    given = array.array("i", [os.open(path, flags)])
    peer.sendmsg([b"x"], [(s.SOL_SOCKET, s.SCM_RIGHTS, given)])
    peer.close()
P

cat >inside.py <<'P'
import _socket as s, array, errno, mmap, os, sys
judged = sys.argv[1] == "judged"
wrong = []
def say(what, got, want):
    got = got if isinstance(got, bool) else errno.errorcode.get(got, got)
    print(what, got)
    if got != want:
        wrong.append(f"{what}: {got}, not {want}")
def tried(call, *words):
    try:
        call(*words)
    except OSError as error:
        return error.errno
    return "done"

# Names of one file: by its own name each, whatever else is known of it.
for name in "plain", "one", "two", "one":
    say(f"access {name}", os.access(name, os.F_OK), True)
for name in "unstated", "unstated-too":
    say(f"stat {name}", tried(os.stat, name), "EACCES")
    say(f"access {name}", os.access(name, os.F_OK), not judged)
    say(f"access {name} in effect", os.access(name, os.R_OK, effective_ids=True), not judged)
# Where access(2) asks, all names of a file must allow it.
say("access stated", os.access("stated", os.F_OK), not judged)

for name, want in ("acl-chmod", "EACCES"), ("acl-setxattr", "EACCES"), ("acl-mode", "EACCES"), ("acl", "done"):
    value = bytes([2, 0, 0, 0]) + b"".join(
        bytes([tag, 0, 7, 0]) + b"\xff" * 4 for tag in (1, 4, 0x20))
    say(f"set an ACL of {name}", tried(os.setxattr, name, "system.posix_acl_access", value), want)
    say(f"remove an ACL of {name}", tried(os.removexattr, name, "system.posix_acl_access"), want)

for place, want in ("open", "done"), ("shut", "EACCES"):
    stream, datagram = s.socket(s.AF_UNIX, s.SOCK_STREAM), s.socket(s.AF_UNIX, s.SOCK_DGRAM)
    if place == "shut":
        say(f"connect {place}", tried(stream.connect, f"/srv/w/{place}/stream"), want)
    say(f"send {place}", tried(datagram.sendto, b"x", f"/srv/w/{place}/datagram"), want)
    say(f"connect {place}, datagrams", tried(datagram.connect, f"/srv/w/{place}/datagram"), want)
pair = s.socketpair(s.AF_UNIX, s.SOCK_DGRAM)
say("send, without a path", tried(pair[0].send, b"x"), "done")

say("follow link", tried(os.open, "link", os.O_RDONLY), "EACCES")
say("access link", os.access("link", os.F_OK), False)
say("follow free", tried(os.open, "free", os.O_RDONLY), "done")

# The kernel maps what is executed, which is `exec`.
say("execute what may not be mapped", os.spawnv(os.P_WAIT, "unmapped", ["unmapped", "--nothing"]) == 0, True)
say("map it", tried(mmap.mmap, os.open("unmapped", os.O_RDONLY), 4096, mmap.MAP_PRIVATE, mmap.PROT_READ), "EACCES")

log = os.open("log", os.O_WRONLY | os.O_APPEND)
say("append", tried(os.write, log, b"more\n"), "done")
say("append, not at the end", tried(os.pwritev, log, [b"x"], 0, 0x20), "ENOTSUP")

# What is received: from outside, it is of mounts that are not those of the sandbox.
for what in "a file", "a place", "a directory":
    peer = s.socket(s.AF_UNIX, s.SOCK_STREAM)
    peer.connect("/srv/w/open/stream")
    data, more, flags, _ = peer.recvmsg(10, 100)
    say(f"receive {what} from outside", (data, len(more)), (b"x", 0))
pair = s.socketpair(s.AF_UNIX, s.SOCK_STREAM)
for what, path, flags in ("a log", "log", os.O_WRONLY | os.O_APPEND), ("a directory", "open", os.O_RDONLY), (
        "a place", "open", os.O_PATH):
    pair[0].sendmsg([b"x"], [(s.SOL_SOCKET, s.SCM_RIGHTS, array.array("i", [os.open(path, flags)]))])
    data, more, flags, _ = pair[1].recvmsg(10, 100)
    say(f"receive {what} from inside", (data, len(more)), (b"x", 1))
for line in wrong:
    print("WRONG:", line)
sys.exit(9 if wrong else 0)
P

# ways WHETHER OPTION...: all of them, where access(2) is judged or not.
ways() {
    whether=$1
    shift
    rm -rf ready open/* shut/*
    python3 outside.py &
    for try in $(seq 100); do
        [ -e ready ] && break
        usleep 100000
    done
    [ -e ready ] || fail "nobody listens outside"
    status=0
    timeout 200 boesfs exec -v --hook lsm "$@" policy.bfs -- python3 inside.py "$whether" >said 2>&1 || status=$?
    cat said
    [ "$status" = 0 ] || fail "access(2) $whether: status $status"
    wait
}
ways unjudged
has said "access(2) is not asked about"
if grep -q "program lsm_inode_permission" said; then fail "each walk on the machine is asked about"; fi
ways judged --judge-access
has said "program lsm_inode_permission"
