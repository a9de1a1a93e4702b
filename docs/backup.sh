#!/bin/sh
# Copy what cannot be made again of one city, while no run writes it: `make backup CITY= OUT=`.
# Settings, files and decisions (raw/<city>); releases and what was published on which day
# (marts/<city>); the working warehouse, which alone knows what older versions of files said.
# The pupils' key is not in it: keep that elsewhere, as without it new files match no old pupil.
set -e
umask 077
# Whoever links or unlinks a release's file beside us changes its inode, and tar then says that the
# file changed (status 1), though no byte did: copy anew, and give up when it stays so.
copied() {
    for turn in 1 2 3; do
        status=0
        tar -czf "$OUT" -C "$aside" "raw/$CITY" "marts/$CITY" "work/$CITY/warehouse.duckdb" || status=$?
        [ "$status" -eq 1 ] || return "$status"
    done
    return 1
}
aside=$(mktemp -d)
trap 'rm -rf "$aside"' EXIT
ln -s "$(cd "$RAW" && pwd)" "$aside/raw"
ln -s "$(cd "$MARTS" && pwd)" "$aside/marts"
ln -s "$(cd "$WORK" && pwd)" "$aside/work"
exec 9>>"$WORK/$CITY/warehouse.duckdb.lock"
flock 9
copied
