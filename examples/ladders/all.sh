#!/usr/bin/env bash
# All ladders of docs/ladders.md: all.sh DIR [options of memtorch sweep]
set -euo pipefail
out=$1
shift
here=$(dirname "$0")
for ladder in adc states stuck-lrs stuck-hrs spread written drift; do
    memtorch sweep "$here/$ladder.toml" --out "$out/$ladder" "$@"
done
