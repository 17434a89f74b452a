# The module under everything at once: sandboxes come, are killed with their agents, reload their policies, and the module is taken out
# and put back, in random order, under load. In the end nothing is left: no mount, no user of the module, no verdict that was wrong.
# seconds: 1500
. /lab/lib.sh
seconds=${BOESFS_STRESS:-20}
stress_site chaos

agents=''
# One sandbox more, under load for a few seconds.
start() {
    boesfs exec --hook kmod --quiet --no-native policy.bfs -- /lab/bin/stress /srv/stress "$1" >>said 2>&1 &
    agents="$agents $!"
}
# One of those that run.
any() {
    set -- $agents
    [ $# = 0 ] && return 0
    shift $((RANDOM % $#))
    echo "$1"
}
drop() {
    kept=''
    for agent in $agents; do
        if kill -0 "$agent" 2>/dev/null; then kept="$kept $agent"; else wait "$agent" || true; fi
    done
    agents=$kept
}

end=$(($(date +%s) + seconds))
while [ "$(date +%s)" -lt "$end" ]; do
    case $((RANDOM % 8)) in
    0 | 1 | 2) [ "$(echo $agents | wc -w)" -ge 4 ] || start $((RANDOM % 4 + 1)) ;;
    3) agent=$(any) && [ -n "$agent" ] && kill -KILL "$agent" 2>/dev/null || true ;;
    4 | 5) agent=$(any) && [ -n "$agent" ] && timeout 20 boesfs reload "$agent" >>reloads 2>&1 || true ;;
    6) rmmod boesfs 2>/dev/null || true ;;
    7) [ -d /sys/module/boesfs ] || insmod /lab/modules/99-boesfs.ko ;;
    esac
    drop
    usleep $((RANDOM % 200 * 1000))
done
[ -d /sys/module/boesfs ] || insmod /lab/modules/99-boesfs.ko
for agent in $agents; do wait "$agent" || true; done
if grep '^wrong: ' said; then fail "a wrong verdict"; fi
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
