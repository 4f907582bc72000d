#!/bin/sh
# All panels of Figure 1 on CIFAR-10, with a network and the images of your own:
#   examples/cifar10/all.sh mobilenetv2.onnx cifar-10-binary.tar.gz OUT [more options of `memtorch sweep`]
# What is done is kept; started again, it goes on.
set -eu
here=$(dirname "$0")
[ $# -ge 3 ] || { sed -n '2,4s/^# //p' "$0" >&2; exit 2; }
# The paths of an experiment are relative to its file, these to where we are.
absolute() { folder=$(cd "$(dirname "$1")" && pwd) && echo "$folder/$(basename "$1")"; }
model=$(absolute "$1")
images=$(absolute "$2")
out=$3
shift 3
for panels in device-to-device states stuck-on stuck-off; do
    "${MEMTORCH:-memtorch}" sweep "$here/$panels.toml" --out "$out/$panels" --resume \
        --set "model.onnx=$model" --set "data.images=$images" "$@"
done
