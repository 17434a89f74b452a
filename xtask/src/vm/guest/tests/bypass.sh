# The known ways around path-based sandboxes, each cell of their table, under the hook that the guest is for.
# any hook
# seconds: 3000
. /lab/lib.sh
export BOESFS=/usr/bin/boesfs BOESFSC=/usr/bin/boesfsc BOESFS_BYPASS=/lab/bypass
/lab/bin/e2e bypass:: --test-threads 2 >said 2>&1 || {
    # Which, and how: what they ran is long.
    sed -n "s/^thread '\([^']*\)' .*/\1/p; /^  *left: /p; /^ *right: /p; /^ *out: /p; /^test result/p" said | head -n 60
    exit 1
}
sed -n 's/^test result: /lab: bypass: /p' said
