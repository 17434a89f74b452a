# The known ways around path-based sandboxes, each cell of their table, under the hook that the guest is for.
# any hook
# seconds: 3000
. /lab/lib.sh
export BOESFS=/usr/bin/boesfs BOESFSC=/usr/bin/boesfsc BOESFS_BYPASS=/lab/bypass
/lab/bin/e2e bypass:: --test-threads 2 >said 2>&1 || {
    sed -n '/^failures:/,$p' said | head -n 120
    exit 1
}
sed -n 's/^test result: /lab: bypass: /p' said
