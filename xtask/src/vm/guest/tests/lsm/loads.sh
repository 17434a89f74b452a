# The kernel's verifier takes the LSM hook's programs of every example and of a policy of 100,000 rules, and their number of rules is not what it
# spends its time on.
# seconds: 900
. /lab/lib.sh

# loads NAME POLICY: loads its programs, and tells what the verifier did for them.
loads() {
    status=0
    boesfs exec -v --quiet --best-effort --hook lsm "$2" -- true >said 2>&1 || status=$?
    # The policy may refuse the command; it must not be refused itself.
    [ "$status" != 125 ] || { cat said; fail "$1 is not loaded"; }
    line=$(grep -o '[0-9]* programs of .*' said) || { cat said; fail "$1: no programs"; }
    echo "lab: loads: $1: $line"
    verified=$(echo "$line" | sed 's/.* of \([0-9]*\) instructions.*/\1/')
    [ "$verified" -gt 1000 ] || fail "$1: nothing was verified: $line"
    # Twice what it is: loops that are gone through once for each directory are noticed.
    [ "$verified" -lt 600000 ] || fail "$1: the verifier looked at $verified instructions"
}

for policy in /lab/source/examples/*/*.bfs; do
    name=$(basename "$policy" .bfs)
    loads "$name" "$policy"
done

awk 'BEGIN {
    print "policy big; default deny; allow view, exec on \"/\", \"/**\";"
    for (i = 0; i < 100000; i++) printf "deny read on \"/srv/big/d%d/e%d/f%d\";\n", i % 97, i % 1009, i
}' >big.bfs
boesfsc compile big.bfs -o big.o
loads '100,000 rules' big.o
mkdir -p /srv/big/d3/e3
echo refused >/srv/big/d3/e3/f3
echo allowed >/srv/big/d3/e3/g3
want 1 boesfs exec --quiet --hook lsm --best-effort big.o -- cat /srv/big/d3/e3/f3
want 0 boesfs exec --quiet --hook lsm --best-effort big.o -- cat /srv/big/d3/e3/g3
