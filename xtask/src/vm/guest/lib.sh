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
