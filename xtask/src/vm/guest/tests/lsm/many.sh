# As many sandboxes at a time as the kernel attaches programs to one function; the next one is refused, and says why.
# seconds: 600
. /lab/lib.sh

mkdir -p /srv/many
echo 'policy lab; default allow; deny unlink on "/srv/many/kept";' >policy.bfs
: >/srv/many/kept
agents=
number=0
while [ $number -lt 60 ]; do
    boesfs exec --quiet --hook lsm policy.bfs -- sh -c ": >/srv/many/$number; exec sleep 1000" 2>said &
    agent=$!
    while [ ! -e /srv/many/$number ] && kill -0 $agent 2>/dev/null; do usleep 10000; done
    [ -e /srv/many/$number ] || break
    agents="$agents $agent"
    number=$((number + 1))
done
echo "lab: many: $number sandboxes at a time"
[ $number -ge 30 ] || { cat said; fail "only $number sandboxes"; }
want 125 wait $agent
has said 'the kernel attaches no more programs there'
# The one that was refused has left nothing behind that is in anybody's way.
want 1 boesfs exec --quiet policy.bfs -- sh -c 'rm /srv/many/kept' 2>said
has said 'not with the lsm hook but with fuse: '
kill -TERM $agents
wait
for try in $(seq 3000); do
    [ -n "$(ls -d /sys/fs/cgroup/boesfs-* 2>/dev/null)" ] || break
    usleep 20000
done
[ -z "$(ls -d /sys/fs/cgroup/boesfs-* 2>/dev/null)" ] || fail "cgroups are left"
