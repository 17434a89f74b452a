# `--hook auto` takes the LSM hook where it enforces the policy exactly, and FUSE where it does not, and says why.
# seconds: 600
. /lab/lib.sh

mkdir -p /srv/auto
echo secret >/srv/auto/secret
# takes HOOK OPTION... POLICY: what `auto` takes.
takes() {
    hook=$1
    shift
    want 0 timeout 100 boesfs exec -v --chdir /usr "$@" -- /usr/bin/true 2>said
    has said ", hook $hook,"
}
policy() {
    { echo "policy lab; default allow; deny read on \"/srv/auto/secret\";"; cat; } >policy.bfs
}

policy </dev/null
takes lsm policy.bfs
want 1 boesfs exec --quiet policy.bfs -- cat /srv/auto/secret
takes fuse --hook fuse policy.bfs

echo 'hide all on "/srv/auto/hidden";' | policy
takes fuse policy.bfs
has said 'not with the lsm hook: policy.bfs:2: the lsm hook cannot keep a hidden name out of listings'
want 1 boesfs exec --quiet policy.bfs -- ls /srv/auto/hidden

# access(2) is judged for who asks for it: everybody on the machine pays for that.
echo 'deny stat on "/srv/auto/secret";' | policy
takes fuse policy.bfs
has said 'access(2) would not be asked about: give --judge-access'
takes lsm --judge-access policy.bfs

echo 'deny write on "/srv/auto/log";' | policy
takes fuse policy.bfs
has said 'would refuse fallocate(2) for all files'

# Examples: an editor appends to nothing; the server does, to its logs, and a rule of the ledger asks for a size that no hook of the kernel tells.
takes lsm --judge-access --role editor /lab/source/examples/web/web.bfs
takes fuse --judge-access --role server /lab/source/examples/web/web.bfs
takes fuse --judge-access --role clerk /lab/source/examples/ledger/ledger.bfs
has said 'does not learn the `size` of'
takes fuse --judge-access /lab/source/examples/build/build.bfs

# What fails with the hook before anything runs is tried with the next one.
policy </dev/null
umount /sys/kernel/security
takes fuse policy.bfs
mount -t securityfs security /sys/kernel/security
takes lsm policy.bfs

want 0 boesfs doctor >said
has said 'cgroup v2: a cgroup made, and removed again'
has said 'taken by --hook auto: after kmod'
