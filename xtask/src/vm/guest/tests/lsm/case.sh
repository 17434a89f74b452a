# File systems that ignore case with the BPF LSM hook: where rules depend on names there, nothing is allowed by another spelling.
. /lab/lib.sh

mkdir -p /srv/ruled /srv/free
for place in ruled free; do
    dd if=/dev/zero of=/$place.img bs=1M count=4 2>/dev/null
    busybox mkdosfs /$place.img
    mount -t vfat -o loop /$place.img /srv/$place
    mkdir /srv/$place/Keys
    echo secret >/srv/$place/Keys/Private.pem
done
cat >policy.bfs <<'P'
policy case;
default allow;
deny read on "/srv/ruled/Keys/Private.pem";
P
sync
# The names that are used first are those that the kernel keeps.
echo 3 >/proc/sys/vm/drop_caches
want 0 timeout 200 boesfs exec --hook lsm policy.bfs -- sh -c '
    for name in keys/private.pem KEYS/PRIVATE.PEM Keys/Private.pem Keys/privat~1.pem; do
        cat /srv/ruled/$name 2>/dev/null && exit 9
    done
    cat /srv/free/keys/private.pem || exit 8
    exit 0
' 2>said || { cat said; fail "status"; }
cat said
has said "of a file system that ignores case, where the rules depend on names"
