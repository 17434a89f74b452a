# `--hook auto` takes the module where it is loaded, also where the LSM hook would do.
. /lab/lib.sh

mkdir -p /srv/auto
echo secret >/srv/auto/secret
echo 'policy lab; default allow; deny read on "/srv/auto/secret";' >policy.bfs
want 0 boesfs exec -v policy.bfs -- true 2>said
has said ", hook kmod,"
