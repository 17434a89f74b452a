# What boesfs cannot be mounted over: it says why, and a sandbox does without it.
# seconds: 200
. /lab/lib.sh

mkdir -p /srv/free /srv/fat
echo free >/srv/free/file
echo below >/srv/fat/below
dd if=/dev/zero of=/fat.img bs=1M count=4 2>/dev/null
busybox mkdosfs /fat.img
mount -t vfat -o loop /fat.img /srv/fat
echo shown >/srv/fat/file
cat >policy.bfs <<'P'
policy refused;
default allow;
deny write on "/srv/free/file";
P
want 0 timeout 100 boesfs exec -v --hook kmod policy.bfs -- sh -c '
    cat /srv/free/file || exit 2
    echo x 2>/dev/null >/srv/free/file && exit 3
    [ -z "$(ls -A /srv/fat)" ] || exit 4
    echo x 2>/dev/null >/srv/fat/new && exit 5
    exit 0
' 2>said
cat said
has said "/srv/fat is empty in the sandbox: boesfs: the lower file system has its own rules for names"
same /srv/free/file - <<'F'
free
F
[ ! -e /srv/fat/new ] || fail "written below"
