# The guest is what the other tests take it for.
. /lab/lib.sh
grep -qw fuse /proc/filesystems || fail "no FUSE"
[ -c /dev/fuse ] || fail "no /dev/fuse"
grep -qw bpf /sys/kernel/security/lsm || fail "no BPF among the security modules: $(cat /sys/kernel/security/lsm)"
[ -r /sys/kernel/btf/vmlinux ] || fail "no types of the kernel"
[ "$(id -u)" = 0 ] || fail "not root"
want 0 mount -t tmpfs -o mode=755 tmpfs "$PWD"
want 0 umount "$PWD"
[ "$(as_user sh -c 'echo "$1 $(id -un) $(id -u) $(id -g)"' sh 'a  b')" = 'a  b alice 1000 1000' ] || fail "$(as_user id)"
grep -q 'CapEff:.*[^0	]' /proc/self/status || fail "root has no capabilities"
as_user sh -c '! grep -q "CapEff:.*[^0	]" /proc/self/status' || fail "alice has capabilities"
