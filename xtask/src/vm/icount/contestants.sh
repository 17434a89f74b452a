# How each contestant runs a command. Sourced by the guest's script, which has made the place of the work, /b.

native() {
    shift $(($# - $#))
    "$@"
}

# landlock RULES COMMAND...: about ten rules, or as many as there are directories in /more.
landlock() {
    rules=$1
    shift
    if [ "$rules" != 10 ]; then
        for i in $(seq "$rules"); do mkdir -p "/more/d$i"; done
        export LANDLOCK_MORE=/more
    fi
    /lab/bin/landlock-run /b "$@"
}

# apparmor RULES COMMAND...: all of /b, the system to read and execute, and other directories to read.
apparmor() {
    rules=$1
    shift
    {
        echo 'profile bench flags=(attach_disconnected) {'
        echo '    capability, signal, unix,'
        echo '    /usr/** rmix, /lab/** rmix, /etc/** r, /proc/** rw, /dev/** rw, /tmp/** rw,'
        echo '    / r, /b/ r, /b/** rwmlkix,'
        echo '    deny /b/**/.git/hooks/** wl, deny /b/**/*.pem rwl,'
        i=0
        while [ $i -lt "$rules" ]; do
            echo "    /more/d$i/** r,"
            i=$((i + 1))
        done
        echo '}'
    } >/tmp/profile
    apparmor_parser --skip-cache --replace /tmp/profile
    ( echo 'exec bench' >/proc/self/attr/exec; exec "$@" )
}

# overlayfs COMMAND...: /b with nothing above it, at /o.
overlayfs() {
    if [ ! -d /o ]; then
        mkdir /o /over
        cp -a /b-refused /o-refused
        mount -t tmpfs over /over
        mkdir /over/upper /over/work
        mount -t overlay -o lowerdir=/b,upperdir=/over/upper,workdir=/over/work over /o
    fi
    "$@"
}

# sandbox HOOK POLICY COMMAND...: without a terminal, for which there would be a filter of system calls.
sandbox() {
    hook=$1 policy=$2
    shift 2
    {
        boesfs exec --quiet --no-native --hook "$hook" "/lab/policies/$policy.o" -- "$@" || echo $? >/tmp/failed
    } </dev/null 2>&1 | cat
    [ ! -e /tmp/failed ]
}

# mounted POLICY COMMAND...: in no sandbox, but on a mount of boesfs over /b, at /k, by the policy of a sandbox that sleeps: the
# module without what a sandbox costs besides.
mounted() {
    policy=$1
    shift
    if [ ! -d /k ]; then
        mkdir /k
        cp -a /b-refused /k-refused
        sandbox kmod "$policy" sh -c 'grep -o -m 1 "policy=[^ ]*" /proc/mounts >/b/named && mv /b/named /b/options; sleep 1000000' &
        while [ ! -e /b/options ]; do usleep 10000; done
        mount -t boesfs -o "lower=/b,at=/b,$(cat /b/options)" none /k
        rm /b/options
    fi
    "$@"
}

# cgroup HOOK POLICY COMMAND...: in a cgroup that is judged as it is, without a sandbox.
cgroup() {
    hook=$1 policy=$2 box=/sys/fs/cgroup/box
    shift 2
    mkdir $box
    sh -c "echo \$\$ >$box/cgroup.procs; while [ ! -e /b/judged ]; do usleep 10000; done; exec \"\$@\"" sh "$@" &
    command=$!
    while ! grep -q . $box/cgroup.procs; do usleep 10000; done
    boesfs exec --best-effort --hook "$hook" --cgroup $box "/lab/policies/$policy.o" 2>/tmp/said &
    while ! grep -q 'are judged by' /tmp/said; do
        kill -0 $! || { cat /tmp/said; return 1; }
        usleep 10000
    done
    : >/b/judged
    wait $command
}

# empty HOOK...  -- COMMAND...: beside programs on these hooks that do nothing.
empty() {
    /lab/bin/empty "$@"
}

# outside HOOK COUNT COMMAND...: in no sandbox, while there are COUNT of them.
outside() {
    hook=$1 count=$2
    shift 2
    for i in $(seq "$count"); do
        sandbox "$hook" 10 sh -c ": >/b/started$i; sleep 1000000" &
        while [ ! -e "/b/started$i" ]; do usleep 10000; done
        rm "/b/started$i"
    done
    "$@"
}
