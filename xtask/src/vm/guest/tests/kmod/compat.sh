# The version of an inode is that of the file below, for 64-bit programs and, by a request of another number, for 32-bit ones.
# seconds: 200
. /lab/lib.sh

mkdir -p /srv/disk /srv/judged
dd if=/dev/zero of=/disk.img bs=1M count=0 seek=16 2>/dev/null
mkfs.ext4 -q /disk.img
mount -t ext4 -o loop /disk.img /srv/disk
echo 'policy compat; default deny; allow read on "/srv/disk/**"; allow ioctl on "/srv/disk/file";' >policy.bfs
echo x >/srv/disk/file
echo x >/srv/disk/refused
want 0 boesfsc compile policy.bfs -o policy.o
trap 'umount /srv/judged; rm -f /sys/fs/bpf/boesfs_policy' EXIT
registered policy.o /sys/fs/bpf
want 0 mount -t boesfs -o lower=/srv/disk,at=/srv/disk,policy=compat none /srv/judged
want 0 /lab/bin/compat /srv/disk/file >native
want 0 /lab/bin/compat /srv/judged/file >judged
same native judged
want 1 /lab/bin/compat /srv/judged/refused >judged
[ "$(cat judged | tr '\n' ' ')" = '64 bits: error 13, version 0 32 bits: error 13, version 0 ' ] || fail "$(cat judged)"
