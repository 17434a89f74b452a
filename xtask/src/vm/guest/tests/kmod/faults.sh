# File systems below that fail: read-only, full, and on a device that gives nothing but errors any more. What programs see on the
# module is what they see natively, and the module goes on, and goes away, afterwards. (Stock kernels have no injection of failed
# allocations.)
# seconds: 300
. /lab/lib.sh
cat >open.bfs <<'P'
policy open;
default allow;
P
judged() { boesfs exec --hook kmod --no-native open.bfs -- "$@"; }
# As in the sandbox: root without capabilities.
native() { setpriv --bounding-set=-all --inh-caps=-all --no-new-privs "$@"; }

# both NAME SCRIPT: the script does the same in both ways, each on a file system that `fresh` makes.
both() {
    for way in native judged; do
        fresh
        $way sh -c "cd /mnt/faults; try() { \"\$@\" 2>&1; echo \"\$1 \$2: \$?\"; }; $2" >"$way" 2>&1 || fail "$1: $way: $(tail -n 5 $way)"
        umount /mnt/faults
        # Not how long it took.
        sed -i '/ copied, /d' $way
    done
    diff native judged || fail "$1: something is another"
    echo "lab: faults: $1: $(grep -c . native) lines the same, $(grep -cE 'No space|Read-only|Input/output' native) errors"
}

mkdir /mnt/faults
fresh() {
    mount -t tmpfs -o size=1m tmpfs /mnt/faults
    mkdir /mnt/faults/d
    echo text >/mnt/faults/f
    mount -o remount,ro /mnt/faults
}
both read-only 'try cat f; try touch g; try mkdir e; try rm f; try rmdir d; try mv f g; try ln f g; try ln -s f g; try chmod 600 f
    try touch f; try sh -c "echo x >>f"; try truncate -s 0 f; try dd if=/dev/zero of=g count=1; try mknod p p; try cat f; test -w f; echo "w $?"'
grep -q Read-only native || fail "nothing was read-only"

fresh() {
    mount -t tmpfs -o size=1m,nr_inodes=40 tmpfs /mnt/faults
}
both full 'try dd if=/dev/zero of=a bs=64k; stat -c %s a; try sh -c "echo more >>a"; try cp a b; try mkdir d; try rm a; try dd if=/dev/zero of=b bs=64k count=8
    rm -f a b; for i in $(seq 60); do touch "n$i" 2>/dev/null || break; done; ls | wc -l; try touch one-more; rm n1; try touch one-more; try fallocate -l 2000000 one-more
    stat -c %s one-more; try sh -c "for i in 1 2 3; do dd if=/dev/zero of=n2 bs=64k; rm n2; done"'
grep -q 'No space' native || fail "nothing was full"

# A disk of this machine's memory, whose table is replaced under a mounted file system.
dd if=/dev/zero of=/disk bs=1M count=24 2>/dev/null
loop=$(losetup -f)
losetup "$loop" /disk
sectors=$((24 * 2048))
fresh() {
    mkfs.ext4 -q -F -O ^has_journal "$loop"
    echo "0 $sectors linear $loop 0" | dmsetup create --noudevsync faults
    dmsetup mknodes faults
    mount -t ext4 -o errors=continue /dev/mapper/faults /mnt/faults
    mkdir /mnt/faults/d
    for i in 1 2 3 4; do dd if=/dev/urandom of="/mnt/faults/f$i" bs=4k count=64 2>/dev/null; done
    sync
    umount /mnt/faults
    mount -t ext4 -o errors=continue /dev/mapper/faults /mnt/faults
    rm -f /srv/broken /srv/break
}
table() {
    dmsetup suspend --noudevsync --nolockfs faults
    echo "0 $sectors $*" | dmsetup reload faults
    dmsetup resume --noudevsync faults
}
mkdir -p /srv
for way in native judged; do
    fresh
    $way sh -c '
        cd /mnt/faults
        try() { "$@" 2>&1; echo "$1 $2: $?"; }
        exec 3<>f2
        : >/srv/break
        while [ ! -e /srv/broken ]; do sleep 0.1; done
        try dd if=f1 of=/dev/null bs=4k
        try dd if=/dev/zero of=f3 bs=4k count=4 conv=notrunc,fsync
        try sh -c "cat <&3 >/dev/null"
        try ls nowhere
        try cat f4
    ' 2>&1 | sed -n '/^[a-z]* [^ ]*: [0-9]*$/p; /rror/p' >$way &
    for try in $(seq 300); do
        [ ! -e /srv/break ] || break
        usleep 100000
    done
    [ -e /srv/break ] || fail "$way did not start"
    echo 3 >/proc/sys/vm/drop_caches
    table error
    : >/srv/broken
    wait $!
    table linear "$loop" 0
    umount /mnt/faults
    dmsetup remove --noudevsync faults
done
diff native judged || fail "errors of the device: something is another"
grep -q 'Input/output' native || fail "there were no errors: $(cat native)"
echo "lab: faults: a broken device: $(grep -c . native) lines the same, $(grep -c Input/output native) errors"

# A directory with a block that cannot be read: all before it is told, once, and then the error, also where names are left out.
sed 's/^default.*/default allow; hide stat on "\/mnt\/faults\/many\/none";/' open.bfs >hides.bfs
cat >many.py <<'P'
import fcntl, os, struct, sys
place = sys.argv[1]
if len(sys.argv) > 2:
    # Where the eighth block of the directory is on the device.
    asked = bytearray(struct.pack("=QQLLLL", 0, 1 << 62, 0, 0, 32, 0) + bytes(56 * 32))
    fcntl.ioctl(os.open(place, os.O_RDONLY), 0xC020660B, asked)
    for number in range(struct.unpack_from("=L", asked, 20)[0]):
        logical, physical, length = struct.unpack_from("=QQQ", asked, 32 + 56 * number)
        if logical <= 8 * 1024 < logical + length:
            print((physical + 8 * 1024 - logical) // 512)
    sys.exit()
told, error = 0, None
try:
    for entry in os.scandir(place):
        told += 1
        if told > 10000:
            break
except OSError as failed:
    error = failed.errno
print(told, error)
P
mkfs.ext4 -q -F -b 1024 -O ^has_journal,^dir_index "$loop"
echo "0 $sectors linear $loop 0" | dmsetup create --noudevsync faults
dmsetup mknodes faults
mount -t ext4 -o errors=continue /dev/mapper/faults /mnt/faults
mkdir /mnt/faults/many
python3 -c 'for i in range(1000): open(f"/mnt/faults/many/{i:060}", "w")'
sync
at=$(python3 many.py /mnt/faults/many block)
[ -n "$at" ] || fail "no block of the directory is known"
umount /mnt/faults
dmsetup suspend --noudevsync --nolockfs faults
printf '0 %s linear %s 0\n%s 2 error\n%s %s linear %s %s\n' "$at" "$loop" "$at" $((at + 2)) $((sectors - at - 2)) "$loop" $((at + 2)) | dmsetup reload faults
dmsetup resume --noudevsync faults
for way in native judged; do
    mount -t ext4 -o errors=continue /dev/mapper/faults /mnt/faults
    case $way in
    native) native python3 many.py /mnt/faults/many >native ;;
    judged) boesfs exec --hook kmod --no-native hides.bfs -- python3 many.py /mnt/faults/many >judged ;;
    esac || fail "$way: a listing"
    umount /mnt/faults
done
diff native judged || fail "a directory with a broken block: something is another"
grep -q ' 5$' native || fail "there was no error: $(cat native)"
echo "lab: faults: a broken directory: $(cat native): names and error the same"
dmsetup remove --noudevsync faults

# The end of a sandbox does not wait for the disk: what has been written is the file system's below.
fresh
echo 0 >/proc/sys/vm/dirty_writeback_centisecs
sync
want 0 judged dd if=/dev/zero of=/mnt/faults/dirty bs=1M count=4 2>/dev/null
dirty=$(sed -n 's/^Dirty: *\([0-9]*\) kB/\1/p' /proc/meminfo)
[ "$dirty" -ge 3000 ] || fail "the end of a sandbox has written to the disk: $dirty kB are left"
echo 500 >/proc/sys/vm/dirty_writeback_centisecs
umount /mnt/faults
dmsetup remove --noudevsync faults

# Nothing is left, and the module works.
want 0 judged true
! grep -q ' boesfs ' /proc/mounts || fail "a mount is left"
rmmod boesfs
! grep -q '^boesfs' /proc/slabinfo || fail "a cache is left: $(grep '^boesfs' /proc/slabinfo)"
insmod /lab/modules/99-boesfs.ko
