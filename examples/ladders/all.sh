#!/bin/sh
# All ladders of docs/ladders.md: examples/ladders/all.sh [FOLDER] [OPTIONS of memtorch sweep, as --limit 500]
# MEMTORCH names the command.
set -eu
here=$(dirname "$0")
out=${1:-ladders}
[ $# -eq 0 ] || shift
for ladder in adc states stuck-lrs stuck-hrs spread written drift; do
    "${MEMTORCH:-memtorch}" sweep "$here/$ladder.toml" --out "$out/$ladder" "$@"
done
