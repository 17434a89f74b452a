# A module and an object of different versions of the interface refuse each other, and `boesfs doctor` says what of the module is missing.
# seconds: 200
. /lab/lib.sh

echo 'policy lab; default allow; deny read on "/srv/versions/secret";' >policy.bfs
trap '[ -d /sys/module/boesfs ] || insmod /lab/modules/99-boesfs.ko; rm -f /sys/fs/bpf/boesfs_policy' EXIT
here=$(cat /sys/module/boesfs/parameters/abi)
other=$((here + 1))

# It is there, and fits.
want 0 boesfs doctor >report
has report "loaded, version $(cat /sys/module/boesfs/version)"
want 0 boesfs exec --hook kmod policy.bfs -- true

# It is not there.
rmmod boesfs
boesfs doctor >report || true
has report 'the kernel module is not loaded: modprobe boesfs'
want 125 boesfs exec --hook kmod policy.bfs -- true 2>said
has said 'the kernel module is not loaded: modprobe boesfs'

# It is of another version, and says so.
insmod /lab/modules/99-boesfs.ko abi=$other
boesfs doctor >report || true
has report "the kernel module has interface $other, this version of boesfs has $here: install both of one version"
want 125 boesfs exec --hook kmod policy.bfs -- true 2>said
has said "the kernel module has interface $other, this version of boesfs has $here: install both of one version"
rmmod boesfs
insmod /lab/modules/99-boesfs.ko

# The object is of another version: what the module gets, whoever loads it.
want 0 boesfsc compile policy.bfs -o policy.o
python3 - "$here" "$other" <<'P'
import struct, sys

here, other = map(int, sys.argv[1:])
data = bytearray(open("policy.o", "rb").read())
table, = struct.unpack_from("<Q", data, 40)
size, count, names = struct.unpack_from("<HHH", data, 58)
sections = [struct.unpack_from("<IIQQQQ", data, table + size * index) for index in range(count)]
for name, _, _, _, at, _ in sections:
    start = sections[names][4] + name
    if data[start : data.index(b"\0", start)] == b".struct_ops.link":
        # After the seven members that are programs.
        assert struct.unpack_from("<I", data, at + 56)[0] == here
        struct.pack_into("<I", data, at + 56, other)
        break
else:
    sys.exit("no struct_ops in the object")
open("other.o", "wb").write(data)
P
dmesg -c >/dev/null
want 255 bpftool struct_ops register other.o /sys/fs/bpf >said 2>&1
[ ! -e /sys/fs/bpf/boesfs_policy ] || fail "it is registered"
dmesg >kernel
has kernel "boesfs: the policy is for version $other of the interface, this module has $here"
# The same one as it was compiled is taken.
registered policy.o /sys/fs/bpf

# What mount(2) says by itself, and why.
mkdir -p /srv/versions/lower /srv/versions/judged
judged() {
    mount -t boesfs -o "$1" none /srv/versions/judged 2>said
}
refused() {
    dmesg -c >/dev/null
    if judged "$1"; then fail "mounted: $1"; fi
    dmesg >>said
    has said "$2"
    ! grep -q ' /srv/versions/judged ' /proc/mounts || fail "it is mounted: $1"
}
refused policy=lab 'boesfs: lower= is missing'
refused lower=/srv/versions/lower 'boesfs: policy= is missing'
refused lower=/srv/versions/lower,policy=none 'boesfs: no policy is registered as none'
refused lower=/srv/versions/none,policy=lab 'boesfs: cannot find the lower directory (-2)'
refused lower=/srv/versions/lower,policy=lab,at=srv 'boesfs: at= is an absolute path'
refused lower=/srv/versions/lower,policy=lab,class=99 'boesfs: the policy has no such class, or none by itself: give class='
refused lower=/proc,policy=lab 'boesfs: file systems are stacked too deep already'
mkdir /srv/versions/mapped
want 0 /lab/bin/mapped /srv/versions/lower /srv/versions/mapped
refused lower=/srv/versions/mapped,policy=lab 'boesfs: idmapped mounts are not supported below'
# An ordinary user, also as root of a user namespace.
if as_user mount -t boesfs -o lower=/srv/versions/lower,policy=lab none /srv/versions/judged 2>said; then fail "mounted by alice"; fi
want 1 unshare -Urm sh -c 'mount -t boesfs -o lower=/srv/versions/lower,policy=lab none /srv/versions/judged; exit $(($? != 0))' 2>said
has said 'permission denied (are you root?)'
want 0 judged lower=/srv/versions/lower,policy=lab,class=0
# The same policy twice in one stack.
mkdir -p /srv/versions/twice
dmesg -c >/dev/null
if mount -t boesfs -o lower=/srv/versions/judged,policy=lab,class=0 none /srv/versions/twice; then fail "stacked"; fi
dmesg >said
has said 'boesfs: the lower mount has the same policy'
umount /srv/versions/judged
rm /sys/fs/bpf/boesfs_policy
