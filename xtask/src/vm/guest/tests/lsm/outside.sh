# What others do on the machine with the tree that the BPF LSM hook judges: mounts that are moved by way of the directories above them, mounts that
# map user ids; and who is on record for what was refused to a process that has ended by then.
# seconds: 400
. /lab/lib.sh

mkdir -p /srv/up/a/m /srv/up/kept /srv/up/files /srv/open /srv/secret /srv/mapped /audit
mount -t tmpfs m /srv/up/a/m
mount -t tmpfs kept /srv/up/kept
for file in up/a/m/f up/kept/f secret/f; do echo "$file" >"/srv/$file"; done
# On a file, and only there is it still seen once the sandbox stands.
: >/srv/up/files/old
mount --bind /srv/up/kept/f /srv/up/files/old
cat >policy.bfs <<'P'
policy outside;
default allow;
deny read on "/srv/up/b/", "/srv/secret/";
deny write, append, truncate, unlink, rename on "/audit/";
P

# A mount stays where it is on the directory that it stands on. When that one gets another path, nobody tells what its path says: it is refused.
timeout 200 boesfs exec --quiet --hook lsm policy.bfs -- sh -c '
    await() { while [ ! -e "$1" ]; do usleep 10000; done; }
    cat /srv/up/a/m/f >/dev/null || exit 1
    cat /srv/up/files/old >/dev/null || exit 7
    exec 8</srv/up/a/m
    : >/srv/open/ready
    await /srv/up/files/new
    cat /srv/up/files/new 2>/dev/null && exit 8
    : >/srv/open/filed
    await /srv/up/b
    cat /srv/up/b/m/f 2>/dev/null && exit 2
    cat /proc/self/fd/8/f 2>/dev/null && exit 3
    cat /srv/up/kept/f >/dev/null || exit 4
    : >/srv/open/denied
    await /srv/up/a
    cat /srv/up/a/m/f 2>/dev/null && exit 5
    cat /srv/up/kept/f >/dev/null || exit 6
    exit 0
' 2>said &
sandbox=$!
await() {
    while [ ! -e "$1" ]; do
        kill -0 $sandbox 2>/dev/null || { wait $sandbox || fail "the sandbox ended early: $?: $(cat said)"; return; }
        usleep 10000
    done
}
await /srv/open/ready
umount /srv/up/files/old
mv /srv/up/files/old /srv/up/files/new
await /srv/open/filed
mv /srv/up/a /srv/up/b
await /srv/open/denied
mv /srv/up/b /srv/up/a
want 0 wait $sandbox
has said 'or of a mount that was moved'
# A new one knows where it is.
want 0 boesfs exec --quiet --hook lsm policy.bfs -- cat /srv/up/a/m/f

# Owners that are shown are not those on disk: refused where they are asked for, and `auto` goes on.
# Not every file system can be mapped on every kernel: this one can.
mkdir /srv/disk
dd if=/dev/zero of=/mapped.img bs=1M count=4 2>/dev/null
busybox mkdosfs /mapped.img
mount -t vfat -o loop /mapped.img /srv/disk
echo f >/srv/disk/f
want 0 /lab/bin/mapped /srv/disk /srv/mapped
[ "$(stat -c %u /srv/mapped/f)" = 1000 ] || fail "nothing is mapped: this shows nothing"
want 0 boesfs exec --quiet --hook lsm policy.bfs -- cat /srv/mapped/f
cat >owner.bfs <<'P'
policy owner;
default allow;
deny read on "/srv/mapped/" when owner != 0;
P
want 125 boesfs exec --quiet --hook lsm owner.bfs -- cat /srv/mapped/f 2>said
has said '/srv/mapped maps user ids, and the policy has conditions on `owner`'
want 1 boesfs exec --quiet owner.bfs -- cat /srv/mapped/f 2>said
has said 'not with the lsm hook but with fuse: /srv/mapped maps user ids'
umount /srv/mapped

# Who it was is told with the event, not looked up later, and in the numbers of the agent's namespace.
echo 20000 >/proc/sys/kernel/ns_last_pid
echo 'for i in $(seq 20); do setpriv --reuid 1000 --regid 1000 --clear-groups cat /srv/secret/f; done 2>/dev/null; true' >short
# The namespace ends after the keeper: on Linux 6.1 they would wait for each other otherwise (docs/lsm.md).
want 0 unshare --pid --fork --mount-proc sh -euc '
    boesfs exec --quiet --hook lsm --cap setuid,setgid --audit /audit/log policy.bfs -- sh short
    while pidof boesfs-keeper >/dev/null; do kill -TERM $(pidof boesfs-keeper) || :; usleep 10000; done
'
[ "$(grep -c '"path":"/srv/secret/f"' /audit/log)" = 20 ] || fail "not all are on record: $(cat /audit/log)"
if grep '"path":"/srv/secret/f"' /audit/log | grep -v '"uid":1000,'; then fail "somebody else is on record"; fi
if grep -E '"(pid|tid)":[0-9]{4}' /audit/log; then fail "numbers of another namespace"; fi
if grep -E '"(pid|tid)":0,' /audit/log; then fail "no number"; fi
