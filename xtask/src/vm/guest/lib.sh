# What the tests share. A test is a script run by `sh -eu` in an empty directory; it passes if it ends with 0.

# fail MESSAGE: ends the test.
fail() {
    echo "FAIL: $*"
    exit 1
}

# want STATUS COMMAND...: the command must end with that status. Its output is shown in the test's log.
want() {
    want=$1
    shift
    got=0
    "$@" || got=$?
    [ "$got" = "$want" ] || fail "status $got, not $want: $*"
}

# same FILE FILE: the files must be equal.
same() {
    diff "$1" "$2" || fail "$1 and $2 differ"
}

# has FILE TEXT: the text must stand in the file.
has() {
    grep -qF -- "$2" "$1" || { cat "$1"; fail "$1 lacks '$2'"; }
}

# as_user COMMAND...: runs it as alice, with her groups and no capabilities.
as_user() {
    su -s /bin/sh -c 'exec "$@"' -- alice sh "$@"
}

# turns DIR: a script on standard output by which a sandbox and a test take turns: `tell X`, and `await X`, by files in DIR.
turns() {
    cat <<T
tell() { : >"$1/\$1"; }
await() {
    waited=0
    while [ ! -e "$1/\$1" ]; do
        sleep 0.1
        waited=\$((waited + 1))
        [ \$waited -lt 600 ] || exit 90
    done
}
T
}

# stress_site NAME: a policy in policy.bfs, and the trees that /lab/bin/stress moves about and looks into.
stress_site() {
    cat >policy.bfs <<P
policy $1;
default deny;
allow view, exec on "/usr/", "/lab/", "/bin/", "/lib*/";
allow stat on "/*", "/*/*";
allow all on "/srv/stress/";
deny read, write on "/srv/stress/**/secret";
deny write on "/srv/stress/**/fixed";
P
    for place in /srv/stress/w0 /srv/stress/w1 /srv/stress/w2 /srv/stress/w3; do
        for d in 0 1 2 3 4 5 6 7; do
            mkdir -p "$place/d$d/inner"
            for file in secret fixed plain inner/secret inner/fixed inner/plain; do echo x >"$place/d$d/$file"; done
        done
    done
}
