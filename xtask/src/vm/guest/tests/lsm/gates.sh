# What reaches around a sandbox's tree is refused by programs of the hooks, without a filter of system calls; by a filter where those do not see enough.
# seconds: 400
. /lab/lib.sh

mkdir -p /srv/g
cat >policy.bfs <<'P'
policy gates;
default allow;
deny read on "/srv/g/secret";
P
for file in secret free; do echo $file >/srv/g/$file; done
mkdir /sys/fs/cgroup/elsewhere
# As little as can be is refused for want of a capability.
echo -1 >/proc/sys/kernel/perf_event_paranoid
echo 0 >/proc/sys/kernel/unprivileged_bpf_disabled

# Outside, each of them is possible: what is refused inside is so because of the sandbox.
/lab/bin/around /sys/fs/cgroup/elsewhere >outside 2>&1
cat outside
if grep -v ' 0$' outside; then fail "impossible here"; fi

# sandboxed OPTION... -- COMMAND...: with nothing of a terminal.
sandboxed() {
    timeout 120 boesfs exec -v --hook lsm "$@" </dev/null >said 2>err || { cat said err; fail "$*"; }
}

sandboxed --sys policy.bfs -- sh -c '
    grep Seccomp: /proc/self/status
    cat /srv/g/secret
    /lab/bin/around /sys/fs/cgroup/elsewhere'
cat said err
has err "no system call is filtered"
has said "Seccomp:	0"
has err "denied read /srv/g/secret"
for possible in fork clone3 memfd_create; do has said "$possible 0"; done
for call in user-namespace clone3-user-namespace sibling into-cgroup unshare-mounts bpf perf_event_open io_uring_setup userfaultfd \
    add_key session-keyring user-keyring mount fsopen chroot; do
    grep -q "^$call " said || fail "$call was not tried"
    if grep "^$call 0" said; then fail "$call is possible"; fi
done
# Those that gates refuse say so by EPERM.
for call in user-namespace clone3-user-namespace sibling into-cgroup bpf perf_event_open io_uring_setup userfaultfd session-keyring; do
    has said "$call 1"
done

# Requests to a file by each of their ways: what is judged is refused, the rest is not.
cat >requests.bfs <<'P'
policy requests;
default allow;
deny ioctl on "/srv/g/secret";
P
/lab/bin/around none /srv/g/secret >outside-requests
sandboxed requests.bfs -- sh -c '/lab/bin/around none /srv/g/secret; echo free; /lab/bin/around none /srv/g/free'
cat said err
for way in ioctl ioctl-32; do
    has outside-requests "$way 0"
    sed '/^free$/,$d' said | grep -qx "$way 13" || fail "$way is possible"
    sed '1,/^free$/d' said | grep -qx "$way 0" || fail "$way is refused"
done
for way in file_getattr file_setattr; do
    case $(grep "^$way " outside-requests) in
    # As on every kernel before 6.17.
    "$way 38") has said "$way 38" ;;
    *)
        sed '/^free$/,$d' said | grep -qx "$way 13" || fail "$way is possible"
        has outside-requests "$way 0"
        sed '1,/^free$/d' said | grep -qx "$way 0" || fail "$way is refused"
        ;;
    esac
done

# A task outside meanwhile, and after it.
timeout 60 boesfs exec --hook lsm policy.bfs -- sh -c 'touch /srv/g/runs; while [ ! -e /srv/g/end ]; do usleep 50000; done' </dev/null >said 2>&1 &
for try in $(seq 200); do [ ! -e /srv/g/runs ] || break; usleep 100000; done
[ -e /srv/g/runs ] || fail "nothing runs"
/lab/bin/around /sys/fs/cgroup/elsewhere >beside 2>&1
touch /srv/g/end
wait
same outside beside

# Filtered: where something may be appended to that may not be written, with a terminal.
cat >appends.bfs <<'P'
policy appends;
default allow;
deny write on "/srv/g/log";
P
sandboxed appends.bfs -- grep Seccomp: /proc/self/status
has said "Seccomp:	2"
has err "something may be appended to that may not be written"
boesfs exec -v --hook lsm policy.bfs -- sh -c 'grep Seccomp: /proc/self/status >/srv/g/said' </dev/console 2>err || { cat err; fail "with a terminal"; }
has /srv/g/said "Seccomp:	2"
has err "the command has a terminal"

# What was set up without a filter does not get a policy that needs one.
cp policy.bfs live.bfs
boesfs exec --hook lsm live.bfs -- sh -c 'touch /srv/g/lives; while [ ! -e /srv/g/over ]; do usleep 50000; done' </dev/null >said 2>&1 &
agent=$!
for try in $(seq 200); do [ ! -e /srv/g/lives ] || break; usleep 100000; done
[ -e /srv/g/lives ] || fail "nothing lives"
cp appends.bfs live.bfs
got=0
boesfs reload "$agent" >reloaded 2>&1 || got=$?
cat reloaded
[ "$got" != 0 ] || fail "a policy came into force that needs a filter"
has reloaded "start the sandbox anew"
touch /srv/g/over
wait
