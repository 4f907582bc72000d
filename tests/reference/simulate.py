#!/usr/bin/env python3
"""An independent simulation of networks on memristive crossbars.

It shares no code with memtorch: it was written from the equations alone, in the
plainest way (dense matrices, a dense nodal solve, one word line at a time), and
gives logits that memtorch must reproduce. `crossbar.py` has the physics,
`network.py` the networks and the settings.

    simulate.py cases cases.json --write          write golden/NAME.npy and golden/borderline.json
    simulate.py cases cases.json --binary PATH    compare a memtorch binary with this simulation
    simulate.py run EXPERIMENT.toml --images 4    print logits of one experiment
    simulate.py digital                           the plain networks against models/figures.json

Needs numpy and onnx. Deterministic settings only: nothing here draws a random
number, so what is measured is measured on data (`tune.samples = 0`, or
`tune.inputs = "data"`) and the entries of `[[nonideality]]` are `states`, `drift` with
one exponent, and `nonlinear` with a hyperbolic sine.
"""

import argparse
import fnmatch
import gzip
import json
import pathlib
import subprocess
import sys
import tempfile
import tomllib

import numpy as np

from crossbar import F32
from network import Network

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent


def images(count, start=0):
    with gzip.open(ROOT / "data/fashion-mnist-t2k-images-idx3-ubyte.gz") as file:
        raw = file.read()
    pixels = np.frombuffer(raw, np.uint8, offset=16).reshape(-1, 1, 28, 28)[start : start + count]
    return (pixels.astype(F32) * F32(0.00392156862745098)).astype(F32)


def model_of(case):
    """Path of a case's network relative to the repository root."""
    return ("tests/reference/" if case["model"] == "odd" else "models/") + case["model"] + ".onnx"


def simulate(experiment, count):
    network = Network(ROOT / experiment["model"]["onnx"], experiment, images)
    return network.run(images(count)), network


def flipped(network, count, logits):
    """Per image: how many codes are borderline, and how far the logits move when each of them flips."""
    near = network.near
    if not near.any():
        return near, np.zeros(count)
    network.flip = True
    moved = np.abs(network.run(images(count)) - logits).max(axis=1)
    network.flip = False
    return near, moved


def experiment_of(case):
    text = f'[model]\nonnx = "{model_of(case)}"\n{case.get("model_keys", "")}\n' + case["experiment"]
    return tomllib.loads(text), text


def command_digital(_):
    for entry in json.load(open(ROOT / "models/figures.json")):
        want = np.array(entry["logits_of_first_8"])
        got = Network(ROOT / "models" / entry["file"]).run(images(8))
        print(f"{entry['file']:32} largest difference {np.abs(got - want).max() / np.abs(want).max():.1e} of the largest logit")


def command_run(args):
    experiment = tomllib.loads(args.experiment.read_text())
    logits, network = simulate(experiment, args.images)
    np.set_printoptions(linewidth=140, suppress=True, precision=6)
    print(logits)
    for name, layer in network.layers.items():
        tiles = layer.groups * len(layer.tiles)
        used = layer.rows * layer.columns / (len(layer.tiles) * layer.tile[0] * layer.tile[1])
        print(f"{name:24} {layer.groups} x {layer.rows} x {layer.columns}, {tiles} tiles, utilisation {used:.4f}, "
              f"gain {layer.gain.ravel()[0]:.8e}, clipped {layer.clipped / layer.codes:.6f}")
    print("borderline codes per image:", network.near)
    if args.out:
        np.save(args.out, logits)


def command_cases(args):
    cases = json.loads(args.cases.read_text())
    golden = args.cases.parent / "golden"
    golden.mkdir(exist_ok=True)
    kept = golden / "borderline.json"
    borderline, failed = json.loads(kept.read_text()) if args.only and kept.exists() else {}, 0
    digital = {}
    for case in cases:
        if args.only and not fnmatch.fnmatch(case["name"], args.only):
            continue
        experiment, text = experiment_of(case)
        logits, network = simulate(experiment, case["images"])
        near, moved = flipped(network, case["images"], logits)
        borderline[case["name"]] = {"codes": near.tolist(), "moves": [float(f"{m:.3g}") for m in moved]}
        if case["model"] not in digital:
            digital[case["model"]] = Network(ROOT / model_of(case)).run(images(8))
        error = logits - digital[case["model"]][: len(logits)]
        line = f"{case['name']:44} error against digital {np.abs(error).max():8.3f}  borderline {near.sum():4d} moving by {moved.max():.2g}"
        if args.write:
            np.save(golden / f"{case['name']}.npy", logits.astype(F32))
        if args.binary:
            with tempfile.TemporaryDirectory() as folder:
                folder = pathlib.Path(folder)
                (folder / "e.toml").write_text(text.replace(model_of(case), f"{ROOT}/{model_of(case)}", 1).replace("@DATA@", f"{ROOT}/data"))
                np.save(folder / "x.npy", images(case["images"]))
                done = subprocess.run([args.binary, "infer", ROOT / model_of(case), "--input", folder / "x.npy",
                                       "--out", folder / "y.npy", "--experiment", folder / "e.toml"], capture_output=True, text=True)
                if done.returncode:
                    failed += 1
                    print(line, "FAILED:", done.stderr.strip())
                    continue
                got = np.load(folder / "y.npy")
            apart = np.abs(got - logits).max(axis=1)
            largest = np.abs(logits).max()
            line += f"  apart {np.array2string(apart / largest, precision=1, max_line_width=400)}"
        print(line, flush=True)
    if args.write:
        (golden / "borderline.json").write_text("{\n" + ",\n".join(f"  {json.dumps(k)}: {json.dumps(v)}" for k, v in borderline.items()) + "\n}\n")
    return 1 if failed else 0


def main():
    parser = argparse.ArgumentParser(description="Independent simulation of memristive crossbars.")
    commands = parser.add_subparsers(required=True)
    commands.add_parser("digital").set_defaults(run=command_digital)
    run = commands.add_parser("run")
    run.add_argument("experiment", type=pathlib.Path)
    run.add_argument("--images", type=int, default=8)
    run.add_argument("--out")
    run.set_defaults(run=command_run)
    cases = commands.add_parser("cases")
    cases.add_argument("cases", type=pathlib.Path)
    cases.add_argument("--write", action="store_true")
    cases.add_argument("--binary")
    cases.add_argument("--only")
    cases.set_defaults(run=command_cases)
    args = parser.parse_args()
    sys.exit(args.run(args))


if __name__ == "__main__":
    main()
