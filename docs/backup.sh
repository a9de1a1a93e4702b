#!/bin/sh
# Copy what cannot be made again of one city, while no run writes it: `make backup CITY= OUT=`.
# Settings, files and decisions (raw/<city>); releases and what was published on which day
# (marts/<city>); the working warehouse, which alone knows what older versions of files said.
# The pupils' key is not in it: keep that elsewhere, as without it new files match no old pupil.
set -e
umask 077
aside=$(mktemp -d)
trap 'rm -rf "$aside"' EXIT
ln -s "$(cd "$RAW" && pwd)" "$aside/raw"
ln -s "$(cd "$MARTS" && pwd)" "$aside/marts"
ln -s "$(cd "$WORK" && pwd)" "$aside/work"
flock "$WORK/$CITY/warehouse.duckdb.lock" tar -czf "$OUT" -C "$aside" \
    "raw/$CITY" "marts/$CITY" "work/$CITY/warehouse.duckdb"
