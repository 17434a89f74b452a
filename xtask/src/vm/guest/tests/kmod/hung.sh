# A file system below that does not answer: who lists a directory there waits, and nobody else. Policies are replaced meanwhile, his own too,
# and begin and end; and in the end he is told what the new policy lets him see. Where a rename waits, its policy is not replaced, which is
# told soon; others are.
# seconds: 300
. /lab/lib.sh

dir=/srv/free
mkdir -p /srv/hung $dir/sign
# A FUSE server of one directory with three files. It says that it has been asked for `stuck`, or to rename, and answers that when it is told to.
cat >server.py <<'E2'
import ctypes, os, select, struct, sys, time

fuse = os.open("/dev/fuse", os.O_RDWR)
options = f"fd={fuse},rootmode=40755,user_id=0,group_id=0,allow_other"
if ctypes.CDLL(None).mount(b"hung", b"/srv/hung", b"fuse", 0, options.encode()):
    sys.exit("cannot mount")
names = {b"here": 2, b"stuck": 3}
# Of this the listing says nothing.
apart = {b"from": 4}

def attributes(node):
    mode = 0o40755 if node == 1 else 0o100644
    return struct.pack("<6Q10I", node, 0, 0, 0, 0, 0, 0, 0, 0, mode, 1, 0, 0, 0, 4096, 0)

def answer(unique, body=b"", error=0):
    os.write(fuse, struct.pack("<IiQ", 16 + len(body), -error, unique) + body)

def entry(node):
    return struct.pack("<4Q2I", node, 0, 3600, 3600, 0, 0) + attributes(node)

waiting, moving = [], []
while True:
    ready, _, _ = select.select([fuse], [], [], 0.1)
    if waiting and os.path.exists("/tmp/work/answer"):
        for unique in waiting:
            answer(unique, entry(3))
        waiting = []
    if moving and os.path.exists("/tmp/work/move"):
        for unique in moving:
            answer(unique)
        moving = []
        apart[b"to"] = apart.pop(b"from")
    if not ready:
        continue
    try:
        request = os.read(fuse, 1 << 20)
    except OSError:
        sys.exit(0)
    _, code, unique, node = struct.unpack_from("<IIQQ", request)
    body = request[40:]
    if code == 1:
        name = body.rstrip(b"\0")
        if name == b"stuck":
            open("/tmp/work/asked", "w")
            waiting.append(unique)
        elif name in names or name in apart:
            answer(unique, entry(names.get(name) or apart[name]))
        else:
            answer(unique, error=2)
    elif code in (12, 45):
        moving.append(unique)
        open("/tmp/work/moving", "w")
    elif code == 3:
        answer(unique, struct.pack("<Q2I", 3600, 0, 0) + attributes(node))
    elif code == 17:
        answer(unique, struct.pack("<5Q4I24x", 100, 50, 50, 100, 50, 4096, 255, 4096, 0))
    elif code == 26:
        answer(unique, struct.pack("<IIIIHHIIHHI28x", 7, 31, 1 << 16, 0, 8, 8, 1 << 16, 1, 0, 0, 0))
    elif code == 27:
        answer(unique, struct.pack("<QII", 1, 0, 0))
    elif code == 28:
        _, offset = struct.unpack_from("<QQ", body)
        listing = b""
        for at, (name, number) in enumerate(names.items(), 1):
            if at > offset:
                listing += struct.pack("<QQII", number, at, len(name), 8) + name + bytes(-len(name) % 8)
        answer(unique, listing)
    elif code == 29:
        answer(unique)
    elif code not in (2, 36, 42):
        answer(unique, error=38)
E2
python3 server.py &
server=$!
trap 'kill $server' EXIT
until_there() {
    for try in $(seq 300); do
        [ ! -e "$1" ] || return 0
        usleep 100000
    done
    fail "there is no $1"
}
for try in $(seq 100); do
    if grep -q ' /srv/hung fuse ' /proc/mounts; then break; fi
    usleep 100000
done

policy() {
    cat <<P
policy $1;
default deny;
allow view, exec on "/usr/", "/lib*/", "/bin/";
allow stat on "/*", "/*/*";
allow all on "/srv/";
hide stat on "/srv/hung/$2";
P
}
policy lister stuck >lister.bfs
policy other stuck >other.bfs
boesfs exec --hook kmod --quiet --no-native lister.bfs -- sh -euc 'ls /srv/hung >/srv/free/listed' &
lister=$!
boesfs exec --hook kmod --quiet --no-native other.bfs -- sh -euc '
: >/srv/free/sign/other
while [ ! -e /srv/free/sign/end ]; do sleep 0.1; done
' &
other=$!
until_there asked
until_there $dir/sign/other
# He waits, below; nobody waits for him.
policy other here >other.bfs
want 0 timeout 30 boesfs reload "$other"
policy lister here >lister.bfs
want 0 timeout 30 boesfs reload "$lister"
policy third stuck >third.bfs
want 0 timeout 30 boesfs exec --hook kmod --quiet --no-native third.bfs -- true
: >$dir/sign/end
for try in $(seq 100); do
    kill -0 "$other" 2>/dev/null || break
    usleep 100000
done
! kill -0 "$other" 2>/dev/null || fail "the other sandbox does not end"
wait "$other" || fail "the other sandbox: status $?"
[ ! -s $dir/listed ] || fail "it did not wait"
# Asked by the old policy, answered by the new one.
: >answer
status=0
wait "$lister" || status=$?
[ "$status" = 0 ] || fail "status $status"
[ "$(cat $dir/listed)" = stuck ] || fail "listed: $(cat $dir/listed)"

# A rename that waits below. Its policy cannot be replaced, and who asks for that is told within a bounded time; others are registered while he waits.
turns $dir/sign >$dir/turns
. $dir/turns
policy mover here >mover.bfs
mkdir $dir/place /srv/over
echo x >$dir/place/one
binder
boesfs exec --hook kmod --quiet --no-native mover.bfs -- sh -euc '
. /srv/free/turns
mv /srv/hung/from /srv/hung/to &
mover=$!
tell started
# When the update has been given up, everything else moves as before.
await given-up
mv /srv/free/place/one /srv/free/place/two
tell moved
wait $mover
cat /srv/free/place/two 2>/srv/free/before
tell free
await replaced
if cat /srv/free/place/two 2>/srv/free/after; then exit 9; fi
' &
mover=$!
await started
until_there moving
# A mount of the same policy, which another is to be given.
policy fourth stuck >fourth.bfs
boesfs exec --hook kmod --quiet --no-native fourth.bfs -- sh -euc '. /srv/free/turns; tell fourth; await over' &
fourth=$!
await fourth
want 0 mount -t boesfs -o lower=$dir,at=$dir,policy=boesfs-exec-$mover-1,class=0 none /srv/over
want 1 timeout 60 python3 binder.py remount /srv/over agent:$fourth >said
has said 'boesfs: a rename or link waits for the file system below: try again'
grep -q " /srv/over .*policy=boesfs-exec-$mover-1," /proc/mounts || fail "another policy: $(grep /srv/over /proc/mounts)"
want 0 cat /srv/over/turns >/dev/null
echo 'deny read on "/srv/free/place/*";' >>mover.bfs
begin=$(date +%s)
{ status=0; boesfs reload "$mover" >said 2>&1 || status=$?; echo $status >status; } &
reloader=$!
sleep 1
want 0 timeout 60 boesfs exec --hook kmod --quiet --no-native third.bfs -- true
wait $reloader
took=$(($(date +%s) - begin))
echo "lab: hung: told after $took s"
[ $took -le 30 ] || fail "it took $took s"
[ "$(cat status)" = 1 ] || { cat said; fail "status $(cat status)"; }
has said 'the policy in force stays'
has said 'a rename or link waits for the file system below'
has said 'try again'
tell given-up
await moved
: >move
await free
want 0 python3 binder.py remount /srv/over agent:$fourth
umount /srv/over
tell over
want 0 wait $fourth
want 0 timeout 30 boesfs reload "$mover"
tell replaced
status=0
wait "$mover" || status=$?
[ "$status" = 0 ] || fail "status $status"
[ ! -s $dir/before ] || fail "the old policy did not stay: $(cat $dir/before)"
has $dir/after 'Permission denied'
