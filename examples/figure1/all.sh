#!/bin/sh
# Figure 1 whole: examples/figure1/all.sh [FOLDER] [OPTIONS of memtorch sweep, as --limit 200 or --shard 1/4]
# Stopped at any moment, it goes on where it was. MEMTORCH names the command.
set -eu
here=$(dirname "$0")
out=${1:-figure1}
[ $# -eq 0 ] || shift
for panels in device-to-device states stuck-on stuck-off; do
    "${MEMTORCH:-memtorch}" sweep "$here/$panels.toml" --out "$out/$panels" --resume "$@"
done
