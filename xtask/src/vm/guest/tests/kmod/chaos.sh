# The module under everything at once: sandboxes come, are killed with their agents, reload their policies, and the module is taken out
# and put back, in random order, under load. In the end nothing is left: no mount, no user of the module, no verdict that was wrong.
# seconds: 1500
. /lab/lib.sh
seconds=${BOESFS_STRESS:-20}
stress_site chaos

# random N: a number below N. The guests' shell knows none by itself.
random() {
    echo $(($(od -An -N2 -tu2 /dev/urandom) % $1))
}

agents=''
rounds=0
mkdir said ended killed
# One sandbox more, under load for a few seconds.
start() {
    rounds=$((rounds + 1))
    boesfs exec --hook kmod --quiet --no-native policy.bfs -- /lab/bin/stress /srv/stress "$1" >said/$rounds 2>&1 &
    echo $rounds >ended/$!
    agents="$agents $!"
}
# An agent has ended: well, or as it was made to.
settle() {
    status=0
    wait "$1" || status=$?
    round=$(cat ended/$1)
    # Whose agent is killed is refused everything from then on, until its turn has come to be killed.
    if [ -e killed/$1 ]; then after=': Permission denied$'; else after='^$'; fi
    if grep '^wrong: ' said/$round | grep -v "$after"; then fail "round $round: a wrong verdict"; fi
    case $status in
    0) ;;
    # One of its processes had no turn in that time.
    1) grep -Eq ': 0 done|, 0 refused' said/$round || fail "round $round: $(cat said/$round)" ;;
    137) [ -e killed/$1 ] || fail "round $round was killed by somebody else: $(cat said/$round)" ;;
    # The module was away, or went, before the policy was registered.
    125) grep -Eq "$absent" said/$round || fail "round $round did not start: $(cat said/$round)" ;;
    *) fail "round $round ended with $status: $(cat said/$round)" ;;
    esac
    # The number is free for another one.
    rm -f ended/$1 killed/$1
    echo $status >>statuses
}
absent='the kernel module is not loaded|the kernel module has no types|(find|read) the types of boesfs.ko|struct_ops module boesfs is not found'
# Ends as the command did; one that hangs is wrong.
soon() {
    status=0
    timeout "$@" || status=$?
    [ $status != 124 ] || fail "hangs: $*"
    return $status
}
# It may be over, killed, or not up yet.
reload() {
    for try in $(seq 20); do
        kill -0 "$1" 2>/dev/null || return 1
        ! soon 60 boesfs reload "$1" >>reloads 2>&1 || return 0
        usleep 300000
    done
    return 1
}
# One of those that run.
any() {
    set -- $agents
    [ $# = 0 ] && return 0
    shift $(random $#)
    echo "$1"
}
drop() {
    kept=''
    for agent in $agents; do
        if kill -0 "$agent" 2>/dev/null; then kept="$kept $agent"; else settle "$agent"; fi
    done
    agents=$kept
}

# Over when the time is, and each of these has been at least once.
everything() {
    for what in killed reloaded unloaded; do grep -q $what done || return 1; done
}
: >done
end=$(($(date +%s) + seconds))
late=$((end + 120))
while now=$(date +%s) && { [ $now -lt $end ] || { [ $now -lt $late ] && ! everything; }; }; do
    case $(random 16) in
    [0-5]) [ "$(echo $agents | wc -w)" -ge 4 ] || start $(($(random 4) + 1)) ;;
    6)
        agent=$(any)
        if [ -n "$agent" ]; then
            : >killed/$agent
            kill -KILL "$agent" 2>/dev/null || true
            echo killed >>done
        fi
        ;;
    7 | 8 | 9) if agent=$(any) && [ -n "$agent" ] && reload "$agent"; then echo reloaded >>done; fi ;;
    10) if rmmod boesfs 2>/dev/null; then echo unloaded >>done; fi ;;
    *) [ -d /sys/module/boesfs ] || insmod /lab/modules/99-boesfs.ko ;;
    esac
    drop
    usleep $(($(random 200) * 1000))
done
[ -d /sys/module/boesfs ] || insmod /lab/modules/99-boesfs.ko
for agent in $agents; do settle "$agent"; done
everything || fail "not everything was done: $(sort done | uniq -c; tail -n 5 reloads)"
grep -q '^0$' statuses || fail "not one sandbox ended well: $(sort statuses | uniq -c)"
echo "lab: kmod/chaos: $(echo $(sort done | uniq -c)); sandboxes by status: $(echo $(sort statuses | uniq -c))"
# Also what was said after the agent had been killed.
if cat said/* | grep '^wrong: ' | grep -v ': Permission denied$'; then fail "a wrong verdict"; fi
# What was killed goes away by and by.
for try in $(seq 100); do
    if ! pidof stress >/dev/null && ! grep -q ' boesfs ' /proc/mounts && rmmod boesfs 2>/dev/null; then break; fi
    usleep 100000
done
[ ! -d /sys/module/boesfs ] || fail "the module is still used: $(lsmod | grep boesfs; grep boesfs /proc/mounts)"
! grep -q '^boesfs' /proc/slabinfo || fail "a cache is left: $(grep '^boesfs' /proc/slabinfo)"
insmod /lab/modules/99-boesfs.ko
# Who was killed between two moves left names where nobody looks for them: the last round begins with all of them in their places.
rm -rf /srv/stress
stress_site last
# Long enough for each of its processes to have its turn on a busy machine.
want 0 boesfs exec --hook kmod --quiet --no-native policy.bfs -- /lab/bin/stress /srv/stress 5
