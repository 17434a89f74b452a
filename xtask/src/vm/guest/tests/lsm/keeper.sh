# A killed agent: its sandbox is judged until its last process is gone, and nothing of it is left.
# seconds: 1800
. /lab/lib.sh

mkdir -p /srv/keeper/open /srv/keeper/secret
echo secret >/srv/keeper/secret/f
cat >policy.bfs <<'P'
policy lab;
default allow;
deny read on "/srv/keeper/secret/";
P
# left: the cgroups of sandboxes that are there.
left() {
    ls -d /sys/fs/cgroup/boesfs-* 2>/dev/null || :
}
# gone: within a while, there are none.
gone() {
    for try in $(seq 600); do
        [ -n "$(left)" ] || return 0
        usleep 20000
    done
    fail "a cgroup is left: $(left): $(cat /sys/fs/cgroup/boesfs-*/cgroup.procs)"
}

# Each round, the command tries all the time to open what it may not, and leaves a mark if it ever can.
kills=${BOESFS_KILLS:-40}
for round in $(seq "$kills"); do
    rm -f /srv/keeper/open/ready
    boesfs exec --quiet --hook lsm policy.bfs -- sh -c '
        try() { while :; do read -r line </srv/keeper/secret/f && echo "$line" >>/srv/keeper/open/mark; done 2>/dev/null; }
        try &
        echo >/srv/keeper/open/ready
        try
    ' &
    agent=$!
    while [ ! -e /srv/keeper/open/ready ]; do
        kill -0 $agent 2>/dev/null || fail "the sandbox ended early"
        usleep 5000
    done
    kill -9 $agent
    wait $agent 2>/dev/null || :
    gone
    [ ! -e /srv/keeper/open/mark ] || fail "round $round: opened after the agent was killed"
done
echo "lab: keeper: $kills agents killed"
# What sandboxes share stays for a while (docs/lsm.md), and then the last keeper takes its programs away.
for try in $(seq 3000); do
    pidof boesfs boesfs-keeper >/dev/null || break
    usleep 20000
done
if pidof boesfs boesfs-keeper; then fail "a process is left: $(ps)"; fi
read -r line </srv/keeper/secret/f || fail "a program is left"

# A keeper that is killed takes the sandbox with it.
rm -f /srv/keeper/open/ready
boesfs exec --quiet --hook lsm policy.bfs -- sh -c 'echo >/srv/keeper/open/ready; exec sleep 1000' 2>said &
agent=$!
while [ ! -e /srv/keeper/open/ready ]; do
    kill -0 $agent 2>/dev/null || fail "the sandbox ended early: $(cat said)"
    usleep 5000
done
for process in /proc/[0-9]*; do
    read -r name <"$process/comm" || continue
    [ "$name" != boesfs-keeper ] || kill -9 "${process#/proc/}"
done
want 125 wait $agent
has said 'keep the sandbox under guard'

# Its cgroup, which nobody removed, is removed by the next one.
[ -n "$(left)" ] || fail "the cgroup is gone: this shows nothing"
want 0 boesfs exec --hook lsm policy.bfs -- true
[ -z "$(left)" ] || fail "a cgroup is left: $(left)"
