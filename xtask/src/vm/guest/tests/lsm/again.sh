# One sandbox after another: none but the first attaches anything, since what they share stays for a while when the last one has ended; then it goes. Whoever
# holds it meanwhile has nothing else, ends by SIGTERM, and may be killed; who starts while it is let go is judged.
# seconds: 900
. /lab/lib.sh

mkdir -p /srv/again
for file in secret free; do echo $file >/srv/again/$file; done
echo 'policy first; default allow; deny read on "/srv/again/secret";' >first.bfs
# Of other hooks.
echo 'policy second; default allow; deny read, lock, unlink on "/srv/again/secret";' >second.bfs

# attached: the programs of the kernel's hooks that are attached, each by its number and that of its link.
attached() {
    bpftool link show | sed -n 's/^\([0-9]*\): tracing  *prog \([0-9]*\).*/\1:\2/p' | sort -n
}
uptime() {
    read -r now _ </proc/uptime
    echo "$now"
}
# took WHAT START: tells how long it took.
took() {
    awk -v what="$1" -v start="$2" -v now="$(uptime)" 'BEGIN { printf "lab: again: %s: %.1f s\n", what, now - start }'
}
# sandbox POLICY: its command reads what it may, and not what it may not. It has ended when this has, and so has its output.
sandbox() {
    start=$(uptime)
    got=0
    output=$(boesfs exec --quiet --hook lsm "$1.bfs" -- sh -c '
        read -r line </srv/again/secret && exit 9
        cat /srv/again/free || exit 8
        exit 7' </dev/null 2>said) || got=$?
    [ "$got" = 7 ] || fail "status $got: $(cat said)"
    [ "$output" = free ] || fail "said: $output"
    took "${2:-a sandbox, $1}" "$start"
}
# keeper: the one process that holds what stays.
keeper() {
    keeper=$(pidof boesfs-keeper) || fail "nothing stays"
    # Of a sandbox that has been there meanwhile.
    for try in $(seq 500); do
        case $keeper in *' '*) ;; *) return 0 ;; esac
        usleep 20000
        keeper=$(pidof boesfs-keeper) || fail "nothing stays"
    done
    fail "several stay: $keeper"
}
# end SIGNAL: of all that stays.
end() {
    for process in $(pidof boesfs-keeper); do kill -"$1" "$process" || :; done
}
# left: what there is of all of it.
left() {
    attached
    pidof boesfs boesfs-keeper
    ls -d /sys/fs/cgroup/boesfs* 2>/dev/null || :
}
# gone: within a while, nothing is.
gone() {
    start=$(uptime)
    for try in $(seq 1500); do
        [ -n "$(left)" ] || { took "until nothing was left" "$start"; return 0; }
        usleep 50000
    done
    fail "left: $(left): $(cat /sys/fs/cgroup/boesfs*/*/cgroup.procs)"
}

# Of tests before.
end TERM
gone
mkdir /sys/fs/cgroup/service
sh -c 'echo $$ >/sys/fs/cgroup/service/cgroup.procs; exec boesfs exec --quiet --hook lsm first.bfs -- true' </dev/null
attached >before
[ -s before ] || fail "nothing stays attached"
cat before
# It has nothing of who started it: no standard output, no cgroup, no directory.
keeper
for try in $(seq 250); do
    [ "$(cat "/proc/$keeper/cgroup")" = 0::/service ] || break
    usleep 20000
done
rmdir /sys/fs/cgroup/service || fail "it is in $(cat /proc/"$keeper"/cgroup)"
[ "$(readlink /proc/"$keeper"/cwd)" = / ] || fail "it is in a directory"
for fd in /proc/"$keeper"/fd/*; do
    # Some are there for a moment.
    case $(readlink "$fd" || echo closed) in
    anon_inode:* | / | /boesfs.lsm-* | /cgroup.procs | closed) ;;
    *) fail "it holds $(readlink "$fd")" ;;
    esac
done
echo "lab: again: what stays has $(grep RssAnon "/proc/$keeper/status" | tr -s '\t ' ' ')"
[ -e "/proc/$keeper/fd" ] || fail "nothing stays"
[ -z "$(ls -d /sys/fs/cgroup/boesfs-* 2>/dev/null)" ] || fail "a cgroup is left"
first=$keeper

# The others take it over. The same one stays.
for number in 1 2 3 4; do
    sandbox first
    attached >now
    same before now
    keeper
    [ "$keeper" = "$first" ] || fail "another one stays"
done
# Other hooks come, and stay as well.
sandbox second
attached >now
cat now
[ -z "$(grep -vxFf now before)" ] || fail "attached anew: $(grep -vxFf now before)"
[ -n "$(grep -vxFf before now)" ] || fail "no other hook: this shows nothing"
sandbox first
sandbox second
attached >then
same now then
gone

# SIGTERM has it end at once: what is attached goes.
sandbox first "the first one again"
attached >before
keeper
kill -TERM "$keeper"
for try in $(seq 300); do
    attached >now
    cmp -s before now || break
    [ "$try" != 300 ] || fail "it does not end by SIGTERM"
    usleep 10000
done
gone

# Killed, it leaves nothing but a directory for the next one; who starts while it goes, by that or by SIGTERM, is judged.
for round in $(seq "${BOESFS_AGAIN:-1}"); do
    for signal in KILL TERM; do
        sandbox first "beside one that is let go, or by itself"
        # Others may still be letting go.
        end $signal
        usleep $((round * 300000 % 2900000))
        sandbox first "$((round * 300 % 2900)) ms after SIG$signal"
    done
done
end TERM

# A PID namespace that ends takes with it whoever stays there.
case $(uname -r) in
# Nobody does (docs/lsm.md); and one that ends too early waits for ever.
6.1.*) ;;
*)
    want 0 unshare --pid --fork --mount-proc boesfs exec --quiet --hook lsm first.bfs -- true </dev/null
    sandbox first "after a PID namespace has ended"
    end TERM
    ;;
esac
gone
