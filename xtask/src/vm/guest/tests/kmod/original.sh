# Regression tests for the known defects of a system with the same aim that came before: each function of /lab/bin/original is one.
# seconds: 300
. /lab/lib.sh

dir=/srv/o
mkdir -p $dir/closed $dir/hidden $dir/bin $dir/many
for file in reads writes; do dd if=/dev/zero of=$dir/$file bs=4k count=4 2>/dev/null; done
for file in plain meta kept vault trap large closed/there hidden/there; do echo "$file, some of its text" >$dir/$file; done
ln -s plain $dir/link
cp /lab/bin/original $dir/bin/elevated
{
    cat <<'P'
policy original;
default deny;
allow view, exec on "/usr/", "/lab/", "/bin/", "/lib*/";
allow stat on "/*", "/*/*";
allow all on "/srv/o/" except "/srv/o/vault";
deny read on "/srv/o/reads" when offset >= 4096;
deny write on "/srv/o/writes" when offset >= 4096;
deny write on "/srv/o/large" when offset >= 3 GiB;
deny ioctl, getxattr, setxattr, listxattr on "/srv/o/meta";
deny readlink on "/srv/o/link";
deny read, write on "/srv/o/**/secret";
deny edit, mknod on "/srv/o/closed/";
deny unlink on "/srv/o/kept";
hide all on "/srv/o/hidden/";
kill read on "/srv/o/trap";
role elevated { allow read on "/srv/o/vault"; }
exe "/srv/o/bin/elevated" : elevated;
P
    for i in $(seq 0 3 299); do echo "deny read on \"/srv/o/many/f$i\";"; done
} >policy.bfs
for i in $(seq 0 299); do echo x >$dir/many/f$i; done
status=0
timeout 250 boesfs exec --hook kmod --quiet --no-native policy.bfs -- /lab/bin/original $dir >said 2>&1 || status=$?
[ "$status" = 0 ] || { cat said; fail "status $status"; }
sed 's/^/lab: original: /' said
[ "$(grep -c 'not so' said)" = 10 ] || fail "not all were looked at"
[ -e $dir/plain ] && [ ! -e $dir/closed/plain ] && [ ! -e $dir/closed/free ] || fail "a refused operation had an effect"

# From outside, in the sandbox's mounts without its other limits.
boesfs exec --hook kmod --quiet --no-native policy.bfs -- sleep 1000 &
agent=$!
for try in $(seq 300); do
    ! pidof sleep >/dev/null || break
    usleep 100000
done
want 0 nsenter -t "$(pidof sleep)" -m /lab/bin/original $dir entered
kill -KILL "$agent"
wait "$agent" || true

# A dentry that was looked up before is judged by the new policy.
cp policy.bfs live.bfs
boesfs exec --hook kmod --quiet live.bfs -- sh -uc '
    cat /srv/o/meta >/dev/null && ls -l /srv/o/kept >/dev/null || exit 1
    : >/srv/o/ready
    while [ ! -e /srv/o/go ]; do sleep 0.1; done
    if cat /srv/o/meta; then exit 2; fi
    if ls -l /srv/o/kept; then exit 3; fi
    exit 0
' >/dev/null 2>&1 &
agent=$!
for try in $(seq 300); do
    [ ! -e $dir/ready ] || break
    usleep 100000
done
[ -e $dir/ready ] || fail "the sandbox did not start"
{ cat policy.bfs; echo 'deny read on "/srv/o/meta"; hide all on "/srv/o/kept";'; } >live.bfs
want 0 boesfs reload "$agent"
: >$dir/go
status=0
wait "$agent" || status=$?
[ "$status" = 0 ] || fail "after the reload: status $status"
