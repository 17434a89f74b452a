# A mount gets another policy by remounting: everything is judged by that one from then on, whatever is open, remembered or moved under the
# one before; and it follows updates of it. What cannot be leaves the mount as it was.
# seconds: 900
. /lab/lib.sh
binder

dir=/srv/rebind
mkdir -p $dir/judged $dir/above /srv/links
mount -t bpf bpf /srv/links
for place in x/d y/e; do
    mkdir -p $dir/lower/$place
    for file in secret plain; do echo $file >$dir/lower/$place/$file; done
done
echo text >$dir/lower/file
# policy NAME TEXT: registers it by a pin.
policy() {
    echo "policy $1; default allow; $2" >$1.bfs
    want 0 boesfsc compile $1.bfs -o $1.o
    mkdir -p /srv/links/$1
    registered $1.o /srv/links/$1
}
policy open ''
policy shut 'deny read, list on "/file"; deny list on "/y/"; hide stat on "/x/d/plain";'
policy apart 'deny read on "/x/**/secret";'
policy many 'role reader { deny read on "/file"; } user 1000 : reader;'
in_force() {
    grep -q " $dir/judged boesfs .*policy=$1,class=0 " /proc/mounts || fail "not $1: $(grep boesfs /proc/mounts)"
}
remount() {
    want 0 mount -o "remount,policy=$1" $dir/judged
    in_force "$1"
}
# moves FROM TO: by rename(2) alone.
moves() {
    python3 -c 'import os, sys; os.rename(*sys.argv[1:])' "$dir/judged/$1" "$dir/judged/$2" 2>said
}
refused() {
    if "$@" >/dev/null 2>&1; then fail "not refused: $*"; fi
}

want 0 mount -t boesfs -o lower=$dir/lower,policy=open,class=0 none $dir/judged
# What is open before, and known.
exec 3<$dir/judged/file
python3 - $dir/judged >held.log 2>&1 <<'P' &
import errno, os, sys, time

base = sys.argv[1]
file = os.open(base + "/file", os.O_RDONLY)
listing = os.open(base + "/y", os.O_RDONLY | os.O_DIRECTORY)
place = os.open(base + "/x", os.O_PATH)
plain = os.open(base + "/x/d/plain", os.O_PATH)
ways = {
    "pread": lambda: os.pread(file, 4, 0),
    "list": lambda: os.listdir(listing),
    "look": lambda: os.stat("d/plain", dir_fd=place),
    "again": lambda: os.open(f"/proc/self/fd/{file}", os.O_RDONLY),
    "stat": lambda: os.stat(plain),
}

def allowed(way):
    try:
        ways[way]()
        return True
    except OSError as error:
        if error.errno not in (errno.EACCES, errno.ENOENT):
            raise
        return False

for step, expected in ("open", True), ("shut", False), ("other", True), ("none", False), ("back", True):
    while not os.path.exists("to-" + step):
        time.sleep(0.05)
    for way in ways:
        if allowed(way) != expected:
            sys.exit(f"{step}: {way} is {'refused' if expected else 'allowed'}")
    open("at-" + step, "w")
P
holder=$!
# step NAME: what is held is tried.
step() {
    : >to-$1
    for try in $(seq 200); do
        [ ! -e at-$1 ] || return 0
        kill -0 $holder 2>/dev/null || { cat held.log; fail "what is held, at $1"; }
        usleep 100000
    done
    fail "nothing is tried at $1"
}
ls -R $dir/judged >/dev/null
cat $dir/judged/file $dir/judged/*/*/* >/dev/null
step open
remount shut
step shut
refused cat $dir/judged/file
refused ls $dir/judged/y
refused stat $dir/judged/x/d/plain
cat <&3 >late 2>/dev/null || true
[ ! -s late ] || fail "read by a descriptor of before"
# The one before goes without effect.
rm /srv/links/open/boesfs_policy
for try in $(seq 100); do
    python3 binder.py remount $dir/judged name:open >said || grep -q 'no policy is registered as open' said && break
    usleep 100000
done
in_force shut
refused cat $dir/judged/file
[ "$(cat $dir/judged/y/e/plain)" = plain ] || fail "what is allowed is not"

# By a descriptor; and what is remembered of the first time is not believed at the second.
policy other ''
want 0 python3 binder.py remount $dir/judged link:/srv/links/other/boesfs_policy
in_force other
step other
remount apart
refused cat $dir/judged/x/d/secret
[ "$(cat $dir/judged/y/e/secret)" = secret ] || fail "what is allowed is not"
exec 4<$dir/judged/y/e/secret
want 1 moves y/e x/e
has said 'Invalid cross-device link'
remount other
want 0 moves y/e x/e
want 0 moves x/d y/d
remount apart
refused cat $dir/judged/x/e/secret
cat <&4 >late 2>/dev/null || true
[ ! -s late ] || fail "read by a descriptor of before"
[ "$(cat $dir/judged/y/d/secret)" = secret ] || fail "what is allowed is not"
remount other
want 0 moves x/e y/e
want 0 moves y/d x/d

# What is refused changes nothing.
remount shut
stays() {
    if python3 binder.py remount $dir/judged "$1" >said; then fail "remounted: $1"; fi
    has said "$2"
    in_force shut
    refused cat $dir/judged/file
}
stays name:none 'boesfs: no policy is registered as none'
stays file:/etc/passwd 'boesfs: policy= is given a descriptor that is no BPF link'
stays gone,link:/srv/links/other/boesfs_policy 'boesfs: the policy is gone'
stays link:/srv/links/other/boesfs_policy 'boesfs: no policy is registered by the BPF link, or none any more'
dmesg -c >/dev/null
for option in lower=/srv at=/srv class=1 tag=9; do
    refused mount -o remount,policy=apart,$option $dir/judged
    in_force shut
done
# The same policy twice in one stack, from above and from below.
policy upper ''
want 0 mount -t boesfs -o lower=$dir/judged,policy=upper,class=0 none $dir/above
stays name:upper 'boesfs: a mount over this one has the same policy'
if python3 binder.py remount $dir/above name:shut >said; then fail "remounted above"; fi
has said 'boesfs: the lower mount has the same policy'
want 0 python3 binder.py remount $dir/above name:apart
refused cat $dir/above/file
umount $dir/above
# A class that means nothing to the other policy.
want 0 mount -t boesfs -o lower=$dir/lower,policy=many,class=1 none $dir/above
refused cat $dir/above/file
if python3 binder.py remount $dir/above name:apart >said; then fail "remounted with another class"; fi
has said 'boesfs: the policy has no such class'
grep -q " $dir/above boesfs .*policy=many,class=1 " /proc/mounts || fail "another policy: $(grep boesfs /proc/mounts)"
refused cat $dir/above/file
umount $dir/above

# A mount whose policy is gone denies everything, also when it is remounted without one, and obeys the next that it gets.
rm /srv/links/shut/boesfs_policy
for try in $(seq 100); do
    cat $dir/judged/y/e/plain >/dev/null 2>&1 || break
    usleep 100000
done
step none
mount -o remount,ro $dir/judged
refused cat $dir/judged/y/e/plain
! grep -q " $dir/judged .*policy=" /proc/mounts || fail "it has a policy: $(grep boesfs /proc/mounts)"
mount -o remount,rw $dir/judged
refused cat $dir/judged/y/e/plain
want 0 python3 binder.py remount $dir/judged link:/srv/links/many/boesfs_policy
in_force many
step back
wait $holder || { cat held.log; fail "what is held"; }
[ "$(cat $dir/judged/file)" = text ] || fail "what is allowed is not"
exec 3<&- 4<&-
umount $dir/judged
rm /srv/links/*/boesfs_policy
umount /srv/links

# Two policies that say the same of names in different states, turned to and fro under load, and updated, by agents; the one before ends.
stress_site rebound
mkdir -p $dir/sign /srv/over
turns $dir/sign >turns
. ./turns
cat >more <<'P'
deny read, list on "/srv/stress/elsewhere/**/secret", "/srv/stress/**/elsewhere/*";
hide stat on "/srv/stress/**/hidden";
P
sed 's|deny write on "/srv/stress/\*\*/fixed";|&allow all on "/srv/rebind/";|' policy.bfs >one.bfs
cat one.bfs more >two.bfs
kept() {
    boesfs exec --hook kmod --quiet --no-native "$1.bfs" -- sh -euc ". /srv/rebind/turns; tell $1; await end-$1" >said-$1 2>&1 &
}
cp turns /srv/rebind/turns
kept one
one=$!
kept two
two=$!
await one
await two
mount -t boesfs -o lower=/srv/stress,at=/srv/stress,policy=boesfs-exec-$one-1,class=0 none /srv/over
seconds=${BOESFS_STRESS:-10}
/lab/bin/stress /srv/over "$seconds" >stressed 2>&1 &
load=$!
python3 binder.py swing /srv/over stop agent:$two agent:$one >rebound 2>&1 &
swing=$!
while kill -0 $load 2>/dev/null; do
    want 0 boesfs reload $one >/dev/null
    want 0 boesfs reload $two >/dev/null
    usleep 300000
done
status=0
wait $load || status=$?
: >stop
want 0 wait $swing
[ "$status" = 0 ] || { cat stressed; fail "status $status after $(cat rebound)"; }
sed 's/^/lab: rebind: /' stressed
echo "lab: rebind: remounted $(cat rebound) times"
[ "$(cat rebound)" -gt 10 ] || fail "remounted $(cat rebound) times only"
# It follows the updates of the one that it has, and the end of the other is nothing to it.
want 0 python3 binder.py remount /srv/over agent:$two >said
tell end-one
want 0 wait $one
echo x >/srv/over/late
exec 5</srv/over/late
echo 'deny read on "/srv/stress/late";' >>two.bfs
want 0 boesfs reload $two
refused cat /srv/over/late
cat <&5 >late 2>/dev/null || true
[ ! -s late ] || fail "read by a descriptor of before"
exec 5<&-
tell end-two
want 0 wait $two
refused cat /srv/over/late
umount /srv/over
unused
