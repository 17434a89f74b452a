# A sandbox's cgroup is found in the hierarchy of version 2, wherever it is mounted: as systemd mounts it beside those of version 1, and as it lays cgroups out in it.
# seconds: 300
. /lab/lib.sh

mkdir -p /srv/h
for file in secret free; do echo $file >/srv/h/$file; done
cat >policy.bfs <<'P'
policy hybrid;
default allow;
deny read on "/srv/h/secret";
P
# judged NAME: with what is mounted, by a service of that name.
judged() {
    timeout 120 boesfs exec --hook lsm policy.bfs -- sh -c 'cat /srv/h/free; cat /srv/h/secret' >said 2>&1 && { cat said; fail "$1: read"; }
    has said free
    has said "denied read /srv/h/secret"
    # Its cgroup is gone with it.
    for try in $(seq 300); do
        find $2 -name 'boesfs-*' | grep -q . || return 0
        usleep 100000
    done
    fail "$1: $(find $2 -name 'boesfs-*')"
}

# A service of systemd, in a hierarchy of version 2 with controllers: the cgroups above it have no tasks.
top=/sys/fs/cgroup
mkdir -p $top/system.slice/lab.service
echo $$ >$top/system.slice/lab.service/cgroup.procs
for file in $top/cgroup.subtree_control $top/system.slice/cgroup.subtree_control; do echo +pids >$file; done
judged unified $top

# Hybrid: version 1 has the controllers, version 2 is at another place.
echo $$ >$top/cgroup.procs
for file in $top/system.slice/cgroup.subtree_control $top/cgroup.subtree_control; do echo -pids >$file; done
umount $top
mount -t tmpfs -o mode=755 cgroups $top
mkdir $top/unified $top/freezer $top/systemd
mount -t cgroup2 cgroup2 $top/unified
# One with a controller, and one that only has a name: as there.
mount -t cgroup -o freezer freezer $top/freezer
mount -t cgroup -o none,name=systemd systemd $top/systemd
for v1 in $top/freezer $top/systemd; do
    mkdir $v1/lab.service
    echo $$ >$v1/lab.service/cgroup.procs
done
echo $$ >$top/unified/system.slice/lab.service/cgroup.procs
cat /proc/self/cgroup
judged hybrid $top/unified

# Not mounted anywhere.
umount $top/unified
judged unmounted $top/systemd

# As other tests take it to be.
umount $top/freezer $top/systemd $top
mount -t cgroup2 cgroup $top
