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

# mount(8) says so too, by itself.
echo 'policy lab; default allow;' >lab.bfs
want 0 boesfsc compile lab.bfs -o lab.o
mkdir -p /srv/links
mount -t bpf bpf /srv/links
registered lab.o /srv/links
mkdir -p /srv/judged
refused() {
    dmesg -c >/dev/null
    if mount -t boesfs -o "lower=$1,policy=lab,class=0" none /srv/judged 2>said; then fail "mounted over $1"; fi
    dmesg >>said
    has said "$2"
    ! grep -q ' /srv/judged ' /proc/mounts || fail "it is mounted over $1"
}
own='boesfs: the lower file system has its own rules for names (case folding)'
deep='boesfs: file systems are stacked too deep already'

# A file system that can fold case: where no directory does, where one does somewhere below, and that one itself.
mkdir -p /srv/fold
dd if=/dev/zero of=/fold.img bs=1M count=16 2>/dev/null
want 0 mkfs.ext4 -q -F -O casefold,^has_journal /fold.img
mount -t ext4 -o loop /fold.img /srv/fold
mkdir -p /srv/fold/plain/below /srv/fold/folded
refused /srv/fold "$own"
refused /srv/fold/plain "$own"
want 0 chattr +F /srv/fold/folded
echo x >/srv/fold/folded/Name
[ -e /srv/fold/folded/nAME ] || fail "it does not fold case"
refused /srv/fold "$own"
refused /srv/fold/plain "$own"
refused /srv/fold/folded "$own"
want 0 timeout 100 boesfs exec -v --hook kmod policy.bfs -- sh -c '[ -z "$(ls -A /srv/fold)" ]' 2>said
has said "/srv/fold is empty in the sandbox: boesfs: the lower file system has its own rules for names"

# overlay LAYERS WHERE: an overlay that can be read.
overlay() {
    mkdir -p "$2"
    mount -t overlay -o "lowerdir=$1" overlay "$2" 2>said
}
# An overlay takes what folds case where all of its layers do, since 6.18, and folds it too. Where they do not, it takes no such directory below.
mkdir /srv/fold/folded/sub /srv/fold/also
want 0 chattr +F /srv/fold/also
if overlay /srv/fold/folded:/srv/fold/also /srv/overfold; then
    echo "lab: refused: an overlay over what folds case"
    refused /srv/overfold "$own"
    umount /srv/overfold
fi
if overlay /srv/fold:/srv/free /srv/overfold; then
    echo "lab: refused: an overlay over what can fold case"
    want 0 mount -t boesfs -o lower=/srv/overfold,policy=lab,class=0 none /srv/judged
    ls -R /srv/judged >listed 2>&1 || true
    ! grep -q Name listed || fail "a name in a directory that folds case: $(cat listed)"
    for name in folded/Name folded/nAME folded/sub folded/SUB; do
        if stat /srv/judged/$name >said 2>&1; then fail "there is $name"; fi
    done
    umount /srv/judged
    umount /srv/overfold
fi
umount /srv/fold

# Kernels since 6.13 have a tmpfs that folds case.
if mount -t tmpfs -o casefold tmpfs /srv/fold 2>said; then
    echo "lab: refused: a tmpfs that can fold case"
    mkdir /srv/fold/plain /srv/fold/folded
    refused /srv/fold "$own"
    want 0 chattr +F /srv/fold/folded
    refused /srv/fold/plain "$own"
    refused /srv/fold/folded "$own"
    umount /srv/fold
fi

# One overlay can be below, and no overlay of an overlay.
mkdir -p /srv/first /srv/second
echo first >/srv/first/name
overlay /srv/first:/srv/second /srv/over || { cat said; fail "there is no overlay"; }
want 0 mount -t boesfs -o lower=/srv/over,policy=lab,class=0 none /srv/judged
[ "$(cat /srv/judged/name)" = first ] || fail "another file over an overlay"
umount /srv/judged
overlay /srv/over:/srv/second /srv/overover || { cat said; fail "there is no overlay of an overlay"; }
refused /srv/overover "$deep"
want 0 timeout 100 boesfs exec -v --hook kmod policy.bfs -- sh -c '[ -z "$(ls -A /srv/overover)" ] && cat /srv/over/name' 2>said
has said "/srv/overover is empty in the sandbox: boesfs: file systems are stacked too deep already"
umount /srv/overover
umount /srv/over
rm /srv/links/boesfs_policy
umount /srv/links
