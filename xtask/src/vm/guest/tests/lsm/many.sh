# Many sandboxes at a time, each with a policy of its own, by programs that they share: more than the kernel attaches to one function. What those leave
# behind who were killed is taken away.
# seconds: 2400
. /lab/lib.sh

many=${BOESFS_MANY:-45}
mkdir -p /srv/many/own /srv/many/next /srv/many/ready
# policy NUMBER: what is refused to one is allowed to the next.
policy() {
    echo "policy lab; default allow; deny unlink on \"/srv/many/own/$1\", \"/srv/many/next/$(($1 + 1))\";" >"$1.bfs"
}
# start NUMBER: the agent's number is in $agent.
start() {
    policy "$1"
    : >"/srv/many/own/$1"
    : >"/srv/many/next/$1"
    boesfs exec --quiet --hook lsm "$1.bfs" -- sh -c "
        rm /srv/many/own/$1 2>/dev/null && exit 1
        rm /srv/many/next/$1 || exit 2
        : >/srv/many/ready/$1
        exec sleep 100000
    " 2>said &
    agent=$!
    while [ ! -e "/srv/many/ready/$1" ]; do
        kill -0 $agent 2>/dev/null || { wait $agent || fail "sandbox $1 ended: $?: $(cat said)"; fail "sandbox $1 ended"; }
        usleep 10000
    done
}
# keeper AGENT: the number of its keeper.
keeper() {
    for process in $(pidof boesfs-keeper); do
        read -r _ _ _ parent _ <"/proc/$process/stat"
        [ "$parent" != "$1" ] || echo "$process"
    done
}
# family: the directory that sandboxes find each other by.
family() {
    ls -d /sys/fs/cgroup/boesfs.lsm-* 2>/dev/null || :
}
# ended PROCESS...: within a while, they are gone.
ended() {
    for try in $(seq 3000); do
        left=
        for process in "$@"; do [ ! -e "/proc/$process" ] || left="$left $process"; done
        [ -n "$left" ] || return 0
        usleep 20000
    done
    fail "processes are left:$left"
}

agents=
for number in $(seq "$many"); do
    start "$number"
    agents="$agents $agent"
done
echo "lab: many: $many sandboxes at a time"
# Outside, nothing is refused.
rm /srv/many/own/1

# Each is judged by its own policy still, also where another one has got another policy meanwhile.
policy 0
# By pipes: where a file is handed in, more is judged, whatever the policy.
mkfifo telling
cat telling >said &
want 0 boesfs exec -v --hook lsm 0.bfs -- true </dev/null >/dev/null 2>telling
wait $!
has said 'programs are reached from 4 that all sandboxes share'
set -- $agents
cp 5.bfs 5.saved
echo 'policy lab; default allow; deny unlink on "/srv/many/next/2";' >5.bfs
want 0 boesfs reload "$5"
cp 5.saved 5.bfs
want 0 boesfs reload "$5"

# An agent that is killed frees the place of its sandbox; the others' stay.
kept=$(keeper "$3")
kill -9 "$3"
ended "$3" $kept
start 3$many

# Where its keeper is killed with it, the next one frees the place, and removes the cgroup.
start 7$many
box=$(ls -d /sys/fs/cgroup/boesfs-$agent*)
kept=$(keeper "$agent")
kill -9 "$agent" $kept
ended "$agent" $kept
for try in $(seq 500); do grep -q 'populated 1' "$box/cgroup.events" || break; usleep 20000; done
[ -e "$box" ] || fail "the cgroup is gone: this shows nothing"
start 8$many
[ ! -e "$box" ] || fail "$box is left"

# Cgroups that are there: where agent and keeper of one are killed, its tasks are still judged as long as another one holds what is shared, and the next agent
# takes the place over.
# police NAME: judges the cgroup of that name, whose task removes what a file names.
police() {
    echo "policy lab; default allow; deny unlink on \"/srv/many/$1/kept\", \"/srv/many/$1/$2\";" >"$1.bfs"
    # Not what another one has said.
    : >said
    boesfs exec --hook lsm -v --cgroup "/sys/fs/cgroup/$1" "$1.bfs" 2>said &
    agent=$!
    while ! grep -q 'are judged by' said; do
        kill -0 $agent 2>/dev/null || fail "it ended early: $(cat said)"
        usleep 10000
    done
    has said 'that all sandboxes share'
}
# removes NAME FILE: whether the task of the cgroup can remove it.
removes() {
    rm -f "/srv/many/$1/done"
    : >"/srv/many/$1/$2"
    echo "$2" >"/srv/many/$1/new"
    mv "/srv/many/$1/new" "/srv/many/$1/ask"
    while [ ! -e "/srv/many/$1/done" ]; do usleep 10000; done
    [ ! -e "/srv/many/$1/$2" ]
}
for name in one two; do
    mkdir -p "/srv/many/$name" "/sys/fs/cgroup/$name"
    sh -c "echo \$\$ >/sys/fs/cgroup/$name/cgroup.procs
        cd /srv/many/$name
        while :; do
            while [ ! -e ask ]; do usleep 10000; done
            read -r file <ask
            mv ask asked
            rm \"\$file\" 2>/dev/null
            : >done
        done" &
    while ! grep -q . "/sys/fs/cgroup/$name/cgroup.procs"; do usleep 10000; done
done
police two first
two=$agent
police one first
removes one first && fail "one is not judged"
removes two second || fail "two is refused what it may"
kept=$(keeper "$agent")
kill -9 "$agent" $kept
ended "$agent" $kept
removes one kept && fail "one is judged no more"
removes one second || fail "one is refused what it may"
police one second
removes one kept && fail "one is not judged by the new policy"
removes one second && fail "one is not judged by the new policy"
removes one first || fail "one is judged by the old policy"
kill -TERM "$agent" "$two"
ended "$agent" "$two"
removes one kept || fail "one is still judged"
for name in one two; do echo 1 >"/sys/fs/cgroup/$name/cgroup.kill"; done

[ -n "$(family)" ] || fail "nothing is shared: this shows nothing"
kill -TERM $agents $(pidof boesfs) 2>/dev/null || :
wait
ended $(pidof boesfs boesfs-keeper)
[ -z "$(ls -d /sys/fs/cgroup/boesfs-* 2>/dev/null)" ] || fail "cgroups are left"
[ -z "$(family)" ] || fail "left: $(family)"
