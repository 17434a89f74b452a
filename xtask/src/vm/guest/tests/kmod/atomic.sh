# Writes that a device does whole or not at all (RWF_ATOMIC): by a file here they are what they are by the file below, at once and later, and
# statx(2) tells the same of them.
# seconds: 200
. /lab/lib.sh

for module in /lab/apart/*.ko; do
    case $module in
    *scsi_debug.ko) insmod "$module" atomic_wr=1 dev_size_mb=32 ;;
    # Some are there already.
    *) insmod "$module" 2>/dev/null || true ;;
    esac
done
for try in $(seq 100); do
    [ ! -b /dev/sda ] || break
    usleep 100000
done
[ -b /dev/sda ] || fail "there is no disk"
mkdir -p /srv/atomic /srv/judged /srv/links
want 0 mkfs.ext4 -q -F -b 4096 /dev/sda
mount -t ext4 /dev/sda /srv/atomic
mount -t bpf bpf /srv/links
echo 'policy open; default allow;' >open.bfs
want 0 boesfsc compile open.bfs -o open.o
registered open.o /srv/links
want 0 mount -t boesfs -o lower=/srv/atomic,policy=open,class=0 none /srv/judged
cat >atomic.py <<'P'
import ctypes, mmap, os, struct, sys

libc = ctypes.CDLL(None, use_errno=True)
path = sys.argv[1] + "/file"
buffer = mmap.mmap(-1, 16384)
buffer.write(bytes([int(sys.argv[2])]) * 16384)
address = ctypes.addressof(ctypes.c_char.from_buffer(buffer))
ATOMIC = 0x40

def told(what, attempt):
    try:
        print(what, attempt())
    except OSError as error:
        print(what, os.strerror(error.errno))

def later(fd, offset, size):
    """By io_submit(2)."""
    context = ctypes.c_ulong(0)
    if libc.syscall(206, 4, ctypes.byref(context)):
        raise OSError(ctypes.get_errno(), "")
    block = ctypes.create_string_buffer(struct.pack("<QIIHhIQQqQII", 0, 0, ATOMIC, 1, 0, fd, address, size, offset, 0, 0, 0))
    blocks = (ctypes.c_void_p * 1)(ctypes.addressof(block))
    try:
        if libc.syscall(209, context, 1, blocks) != 1:
            raise OSError(ctypes.get_errno(), "")
        event = ctypes.create_string_buffer(32)
        libc.syscall(208, context, 1, 1, event, None)
        result = struct.unpack("<QQqq", event.raw)[2]
        if result < 0:
            raise OSError(-result, "")
        return result
    finally:
        libc.syscall(207, context)

with open(path, "wb") as file:
    file.write(b"x" * 16384)
    os.fsync(file.fileno())
for name, flags in ("direct", os.O_DIRECT), ("cached", 0):
    fd = os.open(path, os.O_WRONLY | flags)
    for offset, size in (0, 4096), (4096, 8192), (2048, 4096), (8192, 512):
        told(f"{name} {offset} {size}:", lambda: os.pwritev(fd, [memoryview(buffer)[:size]], offset, ATOMIC))
        told(f"{name} {offset} {size} later:", lambda: later(fd, offset, size))
    os.close(fd)
status = ctypes.create_string_buffer(256)
if libc.syscall(332, -100, path.encode(), 0, 0x10000, status):
    sys.exit("statx")
mask, = struct.unpack_from("<I", status, 0)
attributes, = struct.unpack_from("<Q", status, 8)
print("statx:", hex(mask & 0x10000), hex(attributes & 0x400000), *struct.unpack_from("<III", status, 168))
with open(path, "rb") as file:
    print("data:", [file.read(512)[0] == int(sys.argv[2]) for _ in range(32)])
P
want 0 python3 atomic.py /srv/atomic 1 >native
want 0 python3 atomic.py /srv/judged 2 >judged
sed 's/^/lab: atomic: /' native
same native judged
# ext4 takes them since 6.13.
case $(uname -r) in
6.12.*)
    has native 'direct 0 4096: Operation not supported'
    has native 'statx: 0x0 0x0 0 0 0'
    ;;
*)
    has native 'direct 0 4096: 4096'
    has native 'direct 0 4096 later: 4096'
    has native 'statx: 0x10000 0x400000 4096 '
    ;;
esac
umount /srv/judged
umount /srv/atomic
rm /srv/links/boesfs_policy
umount /srv/links
