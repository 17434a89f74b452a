# `boesfs exec --cgroup`: tasks that are there are judged, with those of cgroups below and by the mounts that they see; others are not.
# seconds: 300
. /lab/lib.sh

box=/sys/fs/cgroup/box
mkdir -p $box/inner /srv/box/open /srv/box/secret /srv/box/source /srv/box/bound
for file in secret source; do echo "$file" >/srv/box/$file/f; done
cat >policy.bfs <<'P'
policy lab;
default allow;
deny read on "/srv/box/secret/";
deny read on "/srv/box/bound/";
P
cat >inside <<'P'
wrong() { echo "$*" >>/srv/box/open/wrong; }
mount --bind /srv/box/source /srv/box/bound
: >/srv/box/open/started
# Each question is a file; the answer is its end.
while :; do
    while [ ! -e /srv/box/open/ask ]; do usleep 10000; done
    read -r question </srv/box/open/ask
    rm /srv/box/open/ask
    case $question in
    judged)
        read -r line </srv/box/secret/f && wrong read
        read -r line </srv/box/bound/f && wrong read by its mount
        read -r line </srv/box/source/f || wrong no read of what is allowed
        echo $$ >/sys/fs/cgroup/cgroup.procs && wrong left the cgroup
        ;;
    changed)
        read -r line </srv/box/secret/f || wrong no read of what is allowed now
        read -r line </srv/box/source/f && wrong read of what is refused now
        ;;
    free)
        read -r line </srv/box/secret/f || wrong judged by nobody
        ;;
    end) exit ;;
    esac
    : >/srv/box/open/answered
done 2>/dev/null
P
# ask QUESTION: of the tasks in the cgroup.
ask() {
    rm -f /srv/box/open/answered
    echo "$1" >/srv/box/open/new
    mv /srv/box/open/new /srv/box/open/ask
    for try in $(seq 1000); do
        if [ -e /srv/box/open/answered ]; then
            [ ! -e /srv/box/open/wrong ] || fail "$1: $(cat /srv/box/open/wrong)"
            return 0
        fi
        usleep 10000
    done
    fail "$1: no answer"
}
# police: starts to judge them.
police() {
    boesfs exec --hook lsm --cgroup $box policy.bfs 2>said &
    agent=$!
    for try in $(seq 3000); do
        grep -q 'are judged by' said && return 0
        kill -0 $agent 2>/dev/null || { cat said; fail "it ended early"; }
        usleep 10000
    done
    fail "it does not start"
}

want 125 boesfs exec --hook lsm --cgroup $box policy.bfs
sh -c "echo \$\$ >$box/inner/cgroup.procs; exec unshare -m sh inside" &
tasks=$!
while [ ! -e /srv/box/open/started ]; do usleep 10000; done
ask free

police
ask judged
read -r line </srv/box/secret/f || fail "a task outside is judged"
# A new policy takes the place of this one; one that cannot does not.
cp policy.bfs old.bfs
sed 's|"/srv/box/secret/"|"/srv/box/source/"|' old.bfs >policy.bfs
want 0 boesfs reload $agent
ask changed
echo 'policy lab; default deny' >policy.bfs
want 1 boesfs reload $agent
printf 'role r { allow read on "/"; }\nexe "/usr/bin/dash" : r;\n' | cat old.bfs - >policy.bfs
want 1 boesfs reload $agent 2>told
has told 'name the roles with --role'
ask changed
cp old.bfs policy.bfs
want 0 boesfs reload $agent
ask judged
kill -TERM $agent
want 143 wait $agent
has said 'denied read /srv/box/secret/f'
has said 'denied read /srv/box/source/f'
has said 'denied read /srv/box/bound/f'
ask free

# A killed agent leaves the programs until the tasks have ended.
police
kill -9 $agent
wait $agent || :
ask judged

# With the last task it ends by itself, and what the killed one has left ends too.
police
ask judged
echo end >/srv/box/open/ask
wait $tasks
want 0 wait $agent
# What sandboxes share stays for a while (docs/lsm.md).
for try in $(seq 3000); do
    pidof boesfs-keeper boesfs >/dev/null || break
    usleep 20000
done
if pidof boesfs-keeper boesfs; then fail "a process is left"; fi
rmdir $box/inner $box
want 125 boesfs exec --hook lsm --cgroup /srv policy.bfs
want 125 boesfs exec --hook lsm --cgroup /sys/fs/cgroup policy.bfs
