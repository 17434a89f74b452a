# A policy that allows everything changes nothing: what programs make on the module is, to the last byte, what they make on the file
# system below, on each of those that the guest has been given.
# seconds: 900
. /lab/lib.sh
cat >open.bfs <<'P'
policy open;
default allow;
P
cat >work.sh <<'W'
# sh work.sh DIR: works there, and says what came of it.
set -eu
cd "$1"
export HOME="$1" GIT_CONFIG_NOSYSTEM=1 GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@b GIT_COMMITTER_NAME=a GIT_COMMITTER_EMAIL=a@b
export GIT_AUTHOR_DATE='2026-01-01T00:00:00Z' GIT_COMMITTER_DATE='2026-01-01T00:00:00Z'

echo '== fsx: random reads, writes, truncates and mappings'
/lab/bin/fsx -S 7 -N 2000 fsx.file >fsx.said 2>&1 || { tail -n 30 fsx.said; exit 1; }
sha256sum fsx.file
rm fsx.file fsx.said

echo '== tar, there and back'
tar xf /lab/tree.tar
mkdir again
tar cf again.tar tree
tar xf again.tar -C again
diff -r tree again/tree
tar tvf again.tar | sha256sum
find tree -type f | sort | xargs sha256sum | sha256sum
find again/tree -type f | sort | xargs stat -c '%n %a %u %g %h %s %Y' | sha256sum
find again/tree -type d | sort | xargs stat -c '%n %a %u %g %h %Y' | sha256sum
rm -rf again again.tar

echo '== make -j2'
cp -r /lab/material/build .
make -s -j2 -C build all
(cd build && sha256sum ./*.o)

echo '== git'
git -c init.defaultBranch=main init -q repo
cp -r tree/. repo
git -C repo add .
git -C repo commit -qm one
for i in 1 2 3; do
    echo "$i" >>"repo/part$i/unit$i/file0.txt"
    git -C repo commit -qam "change $i"
done
git -C repo gc -q
git clone -q --no-local repo clone
git -C clone fsck --full --strict
git -C clone rev-parse HEAD
git -C clone status --short
diff -r -x .git repo clone

echo '== sqlite'
for mode in delete wal truncate; do
    sqlite3 "$mode.db" "pragma journal_mode=$mode; pragma synchronous=normal; pragma mmap_size=1048576;
        create table t(id integer primary key, text blob, n integer); create index i on t(n);
        with recursive c(x) as (select 1 union all select x + 1 from c where x < 3000)
            insert into t select x, '' || hex(x * 7919), x * 7919 % 1000 from c;
        update t set n = n + 1 where id % 3 = 0; delete from t where id % 7 = 0; vacuum;
        select count(*), sum(n), sum(length(text)) from t; pragma integrity_check;"
    # Two at once: locks.
    for half in 0 1; do
        sqlite3 "$mode.db" ".timeout 60000" "update t set n = n + 1 where id % 2 = $half;" &
    done
    wait
    sqlite3 "$mode.db" "select sum(n) from t; pragma integrity_check;"
    sqlite3 "$mode.db" .dump | sha256sum
    # Its bytes tell who was first.
    rm "$mode".db*
done

echo '== lmdb: one mapping shared by all, with its locks in another'
records() {
    printf 'VERSION=3\nformat=print\ntype=btree\nmapsize=16777216\nHEADER=END\n'
    awk -v "salt=$1" 'BEGIN { for (i = 0; i < 2000; i++) printf " key%05d\n value %d of %s\n", i * 7919 % 100003, i * i, salt }'
    echo DATA=END
}
records one >one
records two >two
mkdir lmdb
mdb_load -f one -s first lmdb
# Two that write, and one that reads what is there meanwhile.
mdb_load -f one -s second lmdb &
mdb_load -f two -s third lmdb &
for i in 1 2 3 4; do mdb_dump -s first lmdb | sha256sum; done
wait
mdb_load -f two -s first lmdb
for name in first second third; do
    mdb_dump -s $name lmdb | sha256sum
    mdb_stat -s $name lmdb | grep -E 'Tree|pages|Entries'
done
mkdir copied
mdb_copy -c lmdb copied
mdb_dump -a copied | sha256sum
# The pages of the one that two wrote to tell who was first.
rm -r lmdb copied

echo '== what is left'
find . -path ./repo/.git -prune -o -path ./clone/.git -prune -o -type f -print | sort | xargs sha256sum | sha256sum
W

for lower in $LOWERS; do
    place=/mnt/$lower/transparent
    rm -rf "$place"
    mkdir -p "$place/native" "$place/judged"
    start=$(date +%s)
    sh work.sh "$place/native" >native 2>&1 || { tail -n 30 native; fail "natively on $lower"; }
    middle=$(date +%s)
    boesfs exec --hook kmod --no-native open.bfs -- sh work.sh "$place/judged" >judged 2>&1 || {
        tail -n 30 judged
        fail "under the policy on $lower"
    }
    # Nothing else differs but where it was.
    sed -i "s|$place/[a-z]*|PLACE|g" native judged
    diff native judged || fail "on $lower something is another"
    [ "$(grep -c . native)" -gt 30 ] || fail "too little was done: $(cat native)"
    echo "lab: transparent: on $lower the same, in $((middle - start)) and $(($(date +%s) - middle)) s"
    rm -rf "$place"
done
