# The conformance corpus by real system calls, each operation in each of its ways, under the hook that the guest is for, on each of
# the file systems that it has been given.
# any hook
# seconds: 3000
. /lab/lib.sh
export BOESFS=/usr/bin/boesfs BOESFS_ACTOR=/lab/bin/actor
for lower in $LOWERS; do
    BOESFS_REAL_DIR=/mnt/$lower /lab/bin/real --nocapture >said 2>&1 || {
        grep -A 200 -e ' wrong:' -e panicked said | head -n 60
        fail "on $lower"
    }
    sed -n "s/^hook /lab: real: on $lower: hook /p; s/^spent/lab: real: on $lower: spent/p" said
done
