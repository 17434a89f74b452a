# Records for which the ring buffer has no room: who reads the stream is told how many there were, with the next record and at the end.
# seconds: 200
. /lab/lib.sh

dir=/srv/lost
mkdir -p $dir/sign
echo no >$dir/refused
cat >policy.bfs <<'P'
policy lost;
default deny;
allow view, exec on "/usr/", "/lib*/", "/bin/";
allow stat on "/*", "/*/*";
allow all on "/srv/lost/";
deny read on "/srv/lost/refused";
P
turns $dir/sign >$dir/turns
# refused COUNT: reads it that often.
cat >>$dir/turns <<'T'
refused() {
    python3 -c '
import sys
for attempt in range(int(sys.argv[1])):
    try: open("/srv/lost/refused")
    except PermissionError: continue
    sys.exit(91)
' "$1"
}
T
. $dir/turns
# attempt INSIDE: the agent does not read while INSIDE says so.
attempt() {
    rm -f $dir/sign/* records said
    boesfs exec --hook kmod --no-native --audit records policy.bfs -- sh -euc ". $dir/turns; $1" 2>said &
    agent=$!
    await ready
    kill -STOP "$agent"
    tell go
    await over
    kill -CONT "$agent"
    tell on
    status=0
    wait "$agent" || status=$?
    [ "$status" = 0 ] || { cat said; fail "status $status"; }
}
# Each attempt is in the stream, or among those that are told as lost.
whole() {
    written=$(grep -c '"path":"/srv/lost/refused"' records)
    last=$(tail -n 1 records)
    lost=$(echo "$last" | sed -n 's/.*"lost":\([0-9]*\)}$/\1/p')
    [ "$lost" -gt 0 ] || fail "no loss is told: $last"
    [ $((written + lost)) = "$1" ] || fail "$written written and $lost lost are not $1: $last"
    people=$(sed -n 's/^boesfs: \([0-9]*\) audit records lost$/\1/p' said)
    sum=0
    for each in $people; do sum=$((sum + each)); done
    [ "$sum" = "$lost" ] || fail "people are told of $people: $(tail -n 3 said)"
}
attempt 'tell ready; await go; refused 30000; tell over; await on; sleep 3; refused 10'
whole 30010
attempt 'tell ready; await go; refused 30000; tell over'
whole 30000
# Nothing is told where nothing is lost.
rm records
want 0 boesfs exec --hook kmod --no-native --audit records policy.bfs -- sh -euc ". $dir/turns; refused 300" 2>said
if grep 'records lost' said || grep -v '"lost":0}' records; then fail "something is lost"; fi
[ "$(grep -c '"path":"/srv/lost/refused"' records)" = 300 ] || fail "not all is on record"
