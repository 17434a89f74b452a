# pjdfstest, a suite for POSIX semantics, under a policy that allows everything: each of its tests ends as on the file system below, on
# each of those that the guest has been given.
# seconds: 1800
. /lab/lib.sh
mkdir -p /srv
cat >open.bfs <<'P'
policy open;
default allow;
P
cat >config.toml <<'C'
[features]
posix_fallocate = {}
rename_ctime = {}
utime_now = {}
utimensat = {}
[settings]
naptime = 0.01
allow_remount = false
[dummy_auth]
entries = [["nobody", "nogroup"], ["alice", "alice"], ["bob", "bob"]]
C
cp config.toml open.bfs /srv
capabilities=chown,dac_override,dac_read_search,fowner,fsetid,kill,setgid,setuid,mknod

# results LOG: one line for each test, with how it ended.
results() {
    sed -n 's/\x1b\[[0-9;]*m//g; s/^ *\([a-z_0-9:]*::[a-z_0-9:]*\)[ .	]*\(ok\|success\|skipped\|FAILED\|failed\).*/\1 \2/p' "$1" | sort
}

for lower in $LOWERS; do
    place=/mnt/$lower/pjdfstest
    rm -rf "$place"
    mkdir -p "$place/native" "$place/judged"
    chmod 755 "$place" "$place/native" "$place/judged"
    start=$(date +%s)
    # With the same rights: one that takes others is skipped.
    setpriv --no-new-privs --inh-caps -all --bounding-set "-all,+$(echo $capabilities | sed 's/,/,+/g')" \
        /lab/bin/pjdfstest -c /srv/config.toml -p "$place/native" >native 2>&1 || true
    middle=$(date +%s)
    boesfs exec --hook kmod --quiet --no-native --sys --cap $capabilities /srv/open.bfs -- \
        /lab/bin/pjdfstest -c /srv/config.toml -p "$place/judged" >judged 2>&1 || true
    for way in native judged; do results $way >$way.results; done
    [ "$(grep -c . native.results)" -gt 390 ] || { tail -n 40 native; fail "too few tests ran on $lower"; }
    diff native.results judged.results || fail "on $lower a test ended otherwise"
    echo "lab: pjdfstest: on $lower the same: $(grep -c . native.results) tests, $(cut -d ' ' -f 2 native.results | sort | uniq -c | tr -s ' \n' ' '), in $((middle - start)) and $(($(date +%s) - middle)) s"
    rm -rf "$place"
done
