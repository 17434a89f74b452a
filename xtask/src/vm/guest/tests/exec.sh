# `boesfs exec` with the FUSE hook, as root and as an ordinary user: what is allowed works, what is not does not, and
# nothing of a sandbox is left.
. /lab/lib.sh

cat >policy.bfs <<'P'
policy lab;
default deny;
let dir = "/nowhere";
allow view, exec on "/usr/", "/bin/", "/lib*/", "/sbin/";
allow view on "/etc/";
allow view on "/" except "/**";
allow stat on "/*", "/*/*", "/*/*/*";
allow all on "{dir}/work/", "{dir}/scratch/";
deny all on "{dir}/work/**/*.secret";
deny write, truncate on "{dir}/work/log";
hide all on "{dir}/work/hidden/";
kill read, write on "{dir}/work/trap";
audit allow read on "{dir}/work/watched";
P

# exec WHO OPTION... -- COMMAND...: runs it in the sandbox, in the site's directory.
exec_as() {
    who=$1
    shift
    if [ "$who" = alice ]; then
        as_user timeout 60 boesfs exec --hook fuse --chdir "$site" -D dir="$site" "$@"
    else
        timeout 60 boesfs exec --hook fuse --chdir "$site" -D dir="$site" "$@"
    fi
}

# inside SCRIPT: the script runs in the sandbox, and must end with 0.
inside() {
    want 0 exec_as "$who" "$site/policy.bfs" -- sh -euxc "$1"
}

# refused MESSAGE SCRIPT: the script fails in the sandbox, for this reason.
refused() {
    status=0
    exec_as "$who" --quiet "$site/policy.bfs" -- sh -c "$2" 2>said || status=$?
    # Shells differ in what a failed redirection is: 1 or 2.
    case $status in 1 | 2) ;; *) fail "status $status, not 1 or 2: $2" ;; esac
    has said "$1"
}

# none_left: neither mounts nor processes of a sandbox.
none_left() {
    if grep -q ' fuse' /proc/mounts; then fail "a mount is left: $(grep ' fuse' /proc/mounts)"; fi
    for try in $(seq 50); do
        pidof sleep >/dev/null || return 0
        usleep 100000
    done
    fail "a process is left: $(ps)"
}

echo x >/root/x
for who in root alice; do
    echo "== $who"
    site=/srv/$who
    mkdir -p "$site/work/hidden" "$site/work/sub" "$site/scratch"
    cp policy.bfs "$site"
    for file in a.secret sub/b.secret hidden/x trap watched log plain; do echo "$file" >"$site/work/$file"; done
    chown -R "$who" "$site"

    # Allowed: names, data, attributes, execution.
    inside 'cd work; echo one >new; echo two >>new; [ "$(cat new)" = "one
two" ]; mv new sub/moved; mkdir d; rmdir d; ln -s plain link; [ "$(cat link)" = plain ]; ln plain hard; rm hard
        chmod 600 plain; touch -d "2001-01-01 00:00:00" plain; [ "$(stat -c %a.%Y plain)" = "600.978307200" ]; : >empty; [ ! -s empty ]'
    inside 'cd work; dd if=/dev/urandom of=big bs=64k count=16 2>/dev/null; cp big copy; cmp big copy; truncate -s 5 copy
        [ "$(stat -c %s copy)" = 5 ]; cp /usr/bin/busybox .; ./busybox true; rm busybox big copy'
    [ "$(cat "$site/work/sub/moved")" = "one
two" ] || fail "what was written inside is not outside"
    inside 'set +x; for i in $(seq 200); do : >work/sub/f$i; done; [ "$(ls work/sub | grep -c ^f)" = 200 ]; rm work/sub/f*'
    inside 'echo more >>work/log'

    # Denied, also for files to come, by links and by moves.
    refused 'Permission denied' 'cat work/a.secret'
    refused 'Permission denied' 'cat work/sub/b.secret'
    refused 'Permission denied' ': >work/new.secret'
    refused 'Permission denied' 'rm work/a.secret'
    refused 'Permission denied' 'echo x >work/log'
    refused 'Permission denied' 'cat /root/x'
    refused '' 'ln work/a.secret work/mine'
    refused '' 'mv work/a.secret work/mine'
    refused '' 'ln -s a.secret work/way; cat work/way'
    [ "$(cat "$site/work/a.secret" "$site/work/log")" = "a.secret
log
more" ] || fail "a refused access had an effect"

    # Hidden: not there, in no way.
    refused 'No such file' 'cat work/hidden/x'
    refused 'No such file' 'ls work/hidden'
    inside 'ls -a work >scratch/ls || true; [ "$(grep -c hidden scratch/ls)" = 0 ]; [ "$(grep -c plain scratch/ls)" = 1 ]; [ ! -e work/hidden ]'

    # Killed, and only the offender.
    want 137 exec_as "$who" --quiet "$site/policy.bfs" -- cat work/trap
    inside 'sh -c "cat work/trap" || [ $? = 137 ]'

    # Native zones: at full speed, a read-only and a writable one; none without them.
    inside 'echo x >scratch/x; [ "$(cat scratch/x)" = x ]; if touch /usr/x; then exit 1; fi'
    exec_as "$who" --verbose "$site/policy.bfs" -- true 2>said
    has said "$site/scratch"
    has said /usr
    want 0 exec_as "$who" --no-native "$site/policy.bfs" -- sh -euc 'echo y >scratch/x; if touch /usr/x; then exit 1; fi'

    # Exit statuses.
    want 7 exec_as "$who" "$site/policy.bfs" -- sh -c 'exit 7'
    want 143 exec_as "$who" "$site/policy.bfs" -- sh -c 'kill -TERM $$'
    want 127 exec_as "$who" "$site/policy.bfs" -- no-such-command
    want 126 exec_as "$who" --quiet "$site/policy.bfs" -- ./work/plain
    want 125 exec_as "$who" "$site/none.bfs" -- true
    want 125 exec_as "$who" --role nobody "$site/policy.bfs" -- true

    # The audit stream.
    want 0 exec_as "$who" --quiet --audit "$site/audit" "$site/policy.bfs" -- sh -c 'cat work/watched; cat work/a.secret; true'
    recorded() {
        grep '"op":"read"' "$site/audit" | grep "work/$1" | grep -q "$2" || { cat "$site/audit"; fail "$1: no record"; }
    }
    recorded watched '"effect":"allow","audit":true'
    recorded a.secret '"effect":"deny","audit":false'

    # The agent's end is the end of everything.
    exec_as "$who" "$site/policy.bfs" -- sh -c 'sleep 98765 & sleep 98765; true' &
    for try in $(seq 100); do
        [ "$(pidof sleep | wc -w)" = 2 ] && break
        usleep 100000
    done
    [ "$(pidof sleep | wc -w)" = 2 ] || fail "the command did not start"
    # The oldest is the agent.
    kill -KILL "$(pidof boesfs | tr ' ' '\n' | sort -n | head -n 1)"
    wait || true
    none_left
done
