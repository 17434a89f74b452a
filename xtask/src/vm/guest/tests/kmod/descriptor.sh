# A mount gets its policy by a descriptor of the BPF link that registers it, whatever its name; every other descriptor is refused, and the
# mount says why.
# seconds: 200
. /lab/lib.sh
binder

dir=/srv/bound
mkdir -p $dir/lower $dir/judged /srv/links /srv/cgroup
mount -t bpf bpf /srv/links
mkdir /srv/links/open /srv/links/shut /srv/links/brief
mount -t cgroup2 cgroup2 /srv/cgroup
echo text >$dir/lower/file
echo 'policy open; default allow;' >open.bfs
echo 'policy shut; default allow; deny read on "/file";' >shut.bfs
echo 'policy brief; default allow;' >brief.bfs
for name in open shut brief; do
    want 0 boesfsc compile $name.bfs -o $name.o
    registered $name.o /srv/links/$name
done

want 0 python3 binder.py mount $dir/lower $dir/judged link:/srv/links/open/boesfs_policy
grep -q " $dir/judged boesfs .*policy=open" /proc/mounts || fail "another policy: $(grep boesfs /proc/mounts)"
[ "$(cat $dir/judged/file)" = text ] || fail "what is allowed is not"
umount $dir/judged
want 0 python3 binder.py mount $dir/lower $dir/judged link:/srv/links/shut/boesfs_policy
want 1 cat $dir/judged/file 2>refusal
has refusal 'Permission denied'
umount $dir/judged
# By name, as ever.
want 0 python3 binder.py mount $dir/lower $dir/judged name:open
[ "$(cat $dir/judged/file)" = text ] || fail "what is allowed is not"
umount $dir/judged

refused() {
    want 1 python3 binder.py mount $dir/lower $dir/judged "$1" >said
    has said "$2"
    ! grep -q " $dir/judged " /proc/mounts || fail "mounted: $1"
}
refused file:/etc/passwd 'boesfs: policy= is given a descriptor that is no BPF link'
refused file:/srv/links 'boesfs: policy= is given a descriptor that is no BPF link'
refused file:/dev/null 'boesfs: policy= is given a descriptor that is no BPF link'
refused cgroup:/srv/cgroup 'boesfs: no policy is registered by the BPF link, or none any more'
refused flag: "boesfs: policy= is a name, or a descriptor of a policy's BPF link"
refused name:none 'boesfs: no policy is registered as none'
# The policy goes when its link is detached: before there is a mount, and before the descriptor is given.
refused gone,link:/srv/links/brief/boesfs_policy 'boesfs: the policy is gone'
refused link:/srv/links/brief/boesfs_policy 'boesfs: no policy is registered by the BPF link, or none any more'
rm /srv/links/*/boesfs_policy
umount /srv/links
umount /srv/cgroup
# Nothing holds what was given and not used.
unused
