# stress-ng's file-system class under a policy that allows everything: each of its stressors ends as on the file system below, on each of
# those that the guest has been given.
# seconds: 1800
. /lab/lib.sh
mkdir -p /srv
cat >/srv/open.bfs <<'P'
policy open;
default allow;
P
# Those that sandboxes are refused: mount(2) and name_to_handle_at(2). And what the module leaves out on purpose: leases and FIEMAP.
without='bind-mount binderfs handle lease fiemap'
stressors=$(stress-ng --class 'filesystem?' | sed 's/.*stressors: //' | tr ' ' '\n' | grep -vxF "$(echo "$without" | tr ' ' '\n')")
cat >/srv/each.sh <<'W'
# sh each.sh DIR STRESSOR...: what becomes of each.
cd "$1"
shift
for stressor in "$@"; do
    status=0
    # Small, for an emulated machine: some make thousands of directories before they look at the clock.
    stress-ng --seed 1 --temp-path . --chdir-dirs 64 --dentries 64 --dirdeep-inodes 200 --hdd-bytes 1m --iomix-bytes 1m \
        --fallocate-bytes 1m --filename-opts posix --timeout 1 --verify "--$stressor" 1 >/tmp/stressed 2>&1 || status=$?
    echo "$stressor $status"
    sed -n "s/^stress-ng: fail: *\[[0-9]*\] //p" /tmp/stressed | sed 's/^/    /' | head -n 3
done
W
for lower in $LOWERS; do
    place=/mnt/$lower/stressors
    rm -rf "$place"
    mkdir -p "$place/native" "$place/judged"
    start=$(date +%s)
    # With no more rights than in a sandbox.
    setpriv --no-new-privs --bounding-set -all --inh-caps -all sh /srv/each.sh "$place/native" $stressors >native 2>&1
    middle=$(date +%s)
    want 0 boesfs exec --hook kmod --quiet --no-native --sys /srv/open.bfs -- sh /srv/each.sh "$place/judged" $stressors >judged 2>&1
    echo "lab: stress-ng: on $lower $(grep -c '^[^ ]' native) stressors, $(grep -c '^[^ ]* 0$' native) well natively, $(grep -c '^[^ ]* 0$' judged) under the policy, in $((middle - start)) and $(($(date +%s) - middle)) s"
    [ "$(grep -c '^[^ ]* 0$' native)" -gt 30 ] || { cat native; fail "too few stressors work on $lower"; }
    diff native judged || fail "on $lower a stressor ended otherwise"
    rm -rf "$place"
done
