# The known ways around path-based sandboxes, each cell of their table, under the hook that the guest is for, on each of the file systems
# that it has been given.
# any hook
# seconds: 3000
. /lab/lib.sh
export BOESFS=/usr/bin/boesfs BOESFSC=/usr/bin/boesfsc BOESFS_BYPASS=/lab/bypass
for lower in $LOWERS; do
    TMPDIR=/mnt/$lower /lab/bin/e2e bypass:: --test-threads 2 >said 2>&1 || {
        # Which, and how: what they ran is long.
        sed -n "/^thread '/ { s/^thread '\([^']*\)' .*/\1/p; n; p; }; /^  *left: /p; /^ *right: /p; /^ *out: /p; /^test result/p" said | head -n 60
        fail "on $lower"
    }
    sed -n "s/^test result: /lab: bypass: on $lower: /p" said
done
