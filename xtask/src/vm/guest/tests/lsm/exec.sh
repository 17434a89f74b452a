# `boesfs exec` with the BPF LSM hook: what the programs in the kernel refuse, what they find again after directories were renamed
# outside.
. /lab/lib.sh

mkdir -p /srv/open /srv/secret/sub /srv/moves/a/deep /srv/log /audit
for file in open/f secret/sub/f moves/a/deep/f log/l; do echo "$file" >"/srv/$file"; done
cat >policy.bfs <<'P'
policy lab;
default allow;
deny write, append, truncate, unlink, rename on "/audit/";
deny read on "/srv/secret/";
deny stat on "/srv/open/nostat";
deny write on "/srv/log/";
kill unlink on "/srv/open/trap";
deny read on "/srv/moves/b/";
P
echo x >/srv/open/nostat
echo x >/srv/open/trap

# inside STATUS SCRIPT: the script ends like this in the sandbox.
inside() {
    want "$1" timeout 60 boesfs exec --hook lsm --audit /audit/log policy.bfs -- sh -c "$2"
}

grep -q bpf /sys/kernel/security/lsm || fail "BPF is not among the security modules"
# One sandbox for many attempts: loading the programs takes its time under emulation.
inside 0 '
    no() { echo "ALLOWED: $*"; exit 9; }
    cat /srv/open/f || exit 1
    cat /srv/secret/sub/f && no read
    (cd /srv/secret/sub && cat f) && no read in a directory
    cat /srv/open/../secret/./sub/f && no read by another path
    ls -l /srv/open/nostat && no stat
    ln /srv/secret/sub/f /srv/open/link && no link
    mv /srv/secret/sub /srv/open/sub && no move
    echo more >>/srv/log/l || exit 2
    echo less >/srv/log/l && no write
    exit 0
'
inside 137 'rm /srv/open/trap'
has /audit/log '"path":"/srv/secret/sub/f"'
has /audit/log '"effect":"kill"'
[ -e /srv/open/trap ] || fail "the trap is gone"
[ ! -e /srv/open/link ] || fail "a name with more rights was made"

# What a sandbox does itself is neither judged nor on record: the policy may kill for a look at the root.
cat >root.bfs <<'P'
policy root;
default deny;
allow view, exec on "/usr/", "/lib*/", "/bin/";
kill stat on "/";
P
want 0 boesfs exec --hook lsm --quiet --audit records root.bfs -- true 2>said
[ ! -s records ] || fail "on record: $(cat records)"
[ ! -s said ] || fail "said: $(cat said)"

# What was handed in is opened anew for no more than it was handed in for, also where no rule is about opening: its name is the host's, as the
# tree's are.
cat >handed.bfs <<'P'
policy handed;
default allow;
deny stat on "/srv/open/nostat";
P
echo mine >/srv/log/in
got=0
timeout 60 boesfs exec --quiet --hook lsm handed.bfs -- sh -c '
    cat /proc/self/fd/0 >/dev/null || exit 1
    echo evil 2>/dev/null >>/proc/self/fd/0 && exit 2
    python3 -c "import os; os.truncate(\"/proc/self/fd/0\", 0)" 2>/dev/null && exit 3
    cat /proc/self/fd/1 2>/dev/null && exit 4
    echo out >/proc/self/fd/1 || exit 5
    exit 0
' </srv/log/in >/srv/log/out 2>said || got=$?
[ "$got" = 0 ] || fail "of what was handed in: status $got: $(cat said)"
[ "$(cat /srv/log/in /srv/log/out)" = "mine
out" ] || fail "what was handed in: $(cat /srv/log/in /srv/log/out)"

# Directories renamed outside: states that were kept are not used any more.
timeout 60 boesfs exec --quiet --hook lsm policy.bfs -- sh -c '
    cat /srv/moves/a/deep/f >/dev/null || exit 1
    touch /srv/open/ready
    while [ ! -e /srv/moves/b ]; do usleep 10000; done
    cat /srv/moves/b/deep/f 2>/dev/null && exit 2
    touch /srv/open/denied
    while [ ! -e /srv/moves/a ]; do usleep 10000; done
    cat /srv/moves/a/deep/f >/dev/null || exit 3
' &
sandbox=$!
while [ ! -e /srv/open/ready ]; do usleep 10000; done
mv /srv/moves/a /srv/moves/b
while [ ! -e /srv/open/denied ]; do
    kill -0 $sandbox 2>/dev/null || fail "the sandbox ended early"
    usleep 10000
done
mv /srv/moves/b /srv/moves/a
got=0
wait $sandbox || got=$?
[ "$got" = 0 ] || fail "after directories moved: status $got"
