# `boesfs doctor` tells the truth about this kernel.
. /lab/lib.sh

# field NAME WHAT: that field of the check of this name.
field() {
    awk -v name="\"$1\": " -v what="\"what\": \"$2\"," '
        index($0, what) { here = 1 }
        here && index($0, name) { sub(/^.*": /, ""); sub(/,$/, ""); gsub(/"/, ""); print; exit }
    ' report
}

# is VALUE NAME WHAT
is() {
    [ "$(field "$2" "$3")" = "$1" ] || { cat report; fail "$3: $2 is '$(field "$2" "$3")', not '$1'"; }
}

# since MAJOR MINOR: whether the kernel is that new, as a word.
since() {
    uname -r | awk -F. -v major="$1" -v minor="$2" '{ print ($1 > major || $1 == major && $2 + 0 >= minor) ? "true" : "false" }'
}

want 0 boesfs doctor --format json >report
has report "\"kernel\": \"$(uname -r)\""
is "$(since 6 12)" ok 'Linux 6.12 or newer'
is true ok 'BPF in the list of LSMs'
is "$(cat /sys/kernel/security/lsm)" found 'BPF in the list of LSMs'
is true ok 'BPF LSM programs'
is true ok /dev/fuse
is true ok namespaces
is true ok 'FUSE mount'
is "$(since 6 9)" ok 'data passthrough'
is true ok 'BPF programs of type syscall'
[ ! -d /sys/module/boesfs ] || fail "a module that the lab did not load"

want 0 as_user boesfs doctor --format json >report
is true ok /dev/fuse
is true ok namespaces
is true ok 'FUSE mount'
is false ok 'BPF LSM programs'
is false ok 'data passthrough'
is false ok 'BPF programs of type syscall'

chmod 600 /dev/fuse
want 1 as_user boesfs doctor --format json >report
is false ok /dev/fuse
chmod 666 /dev/fuse
