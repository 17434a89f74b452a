# Trees that are moved about while others look into them: no verdict is ever wrong, and the kernel does not complain.
# any hook
# seconds: 900
. /lab/lib.sh
stress_site stress
boesfs exec --hook "$BOESFS_HOOK" --quiet --no-native policy.bfs -- /lab/bin/stress /srv/stress "${BOESFS_STRESS:-10}" >said 2>&1 &
agent=$!
# A policy that is read again while it is in use.
if boesfs --help | grep -qw reload; then
    while kill -0 "$agent" 2>/dev/null; do
        # Until it runs, the policy stays, and that is said.
        boesfs reload "$agent" >>reloads 2>&1 && reloaded=$((${reloaded:-0} + 1)) || true
        usleep 100000
    done
fi
status=0
wait "$agent" || status=$?
[ "$status" = 0 ] || { cat said; tail -5 reloads; fail "status $status"; }
sed 's/^/lab: stress: /' said
echo "lab: stress: reloaded ${reloaded:-0} times"
[ "${reloaded:-0}" -gt 0 ] || { tail -5 reloads; fail 'the policy was never reloaded'; }
