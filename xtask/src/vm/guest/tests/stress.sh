# Trees that are moved about while others look into them: no verdict is ever wrong, and the kernel does not complain.
# any hook
# seconds: 900
. /lab/lib.sh
cat >policy.bfs <<'P'
policy stress;
default deny;
allow view, exec on "/usr/", "/lab/", "/bin/", "/lib*/";
allow stat on "/*", "/*/*";
allow all on "/srv/stress/";
deny read, write on "/srv/stress/**/secret";
deny write on "/srv/stress/**/fixed";
P
mkdir -p /srv/stress
for w in 0 1 2 3; do
    for d in 0 1 2 3 4 5 6 7; do
        mkdir -p "/srv/stress/w$w/d$d/inner"
        for file in secret fixed plain inner/secret inner/fixed inner/plain; do echo x >"/srv/stress/w$w/d$d/$file"; done
    done
done
boesfs exec --hook "$BOESFS_HOOK" --quiet --no-native policy.bfs -- /lab/bin/stress /srv/stress "${BOESFS_STRESS:-10}" >said 2>&1 &
agent=$!
# A policy that is read again while it is in use, where the command has that.
if boesfs --help | grep -qw reload; then
    while kill -0 "$agent" 2>/dev/null; do
        kill -HUP "$agent" 2>/dev/null || true
        usleep 100000
    done
fi
wait "$agent" || { cat said; fail "status $?"; }
sed 's/^/lab: stress: /' said
