"""Trained networks from ONNX files, digital or with their linear layers on crossbars.

Knows the operators of the networks of this repository and no more.
"""

import fnmatch

import numpy as np
import onnx
from onnx import numpy_helper

from crossbar import F32, F64, CrossbarLayer, chain

# ---------------------------------------------------------------- settings

DEFAULTS = {
    "device": {"model": None},
    "crossbar": {
        "tile": [128, 128],
        "cell": "1t1r",
        "source_resistance": 0.0,
        "line_resistance": 0.0,
        "transistor_resistance": 0.0,
        "scheme": "double-column",
        "weight_range": "layer",
        "exclude_largest": 0.0,
        "weight_floor": "zero",
        "group_packing": "separate",
        "unused": "full",
        "reference": "mirror",
        "bits_per_cell": 2,
        "slices": 4,
        "sign": "differential",
    },
    "input": {"max_voltage": 0.3, "scale": "always", "bits": 0, "serial": False},
    # A missing [adc] is an ideal converter.
    "adc": {"bits": 0, "method": "linear", "range": "dynamic", "read": "difference", "overflow_rate": 0.0,
            "gain_error": 0.0, "offset_error": 0.0, "nonlinearity": 0.0, "columns_per_adc": 1,
            "granularity": "layer", "range_fit": "percentile", "percentile": 100.0, "calibration": "data", "calibration_samples": 8},
    "program": {"method": "direct"},
    "tune": {"samples": 0, "per": "layer", "intercept": False, "inputs": "uniform"},
}
# VTEAM's published bounds, used where the experiment does not say r_on, r_off.
MODEL_BOUNDS = {"vteam": (50.0, 1000.0), "linear-ion-drift": (100.0, 16e3), "stanford-pku": (542.0, 218586.0),
                "data-driven": (1280.0, 17e3), "data-driven-2021": (1600.0, 3000.0)}


def settings_of_layer(experiment, short, node):
    """The settings of one layer: defaults, then the file, then each matching [layers] table, key by key."""
    tables = {name: dict(values) for name, values in DEFAULTS.items()}
    entries = list(experiment.get("nonideality", []))
    patch = True

    def overlay(source):
        nonlocal entries, patch
        for name in tables:
            tables[name].update(source.get(name, {}))
        if "nonideality" in source:
            entries = list(source["nonideality"])
        entries = entries + list(source.get("nonideality_add", []))
        patch = source.get("patch", patch)

    overlay({k: v for k, v in experiment.items() if k != "nonideality"})
    for pattern, table in experiment.get("layers", {}).items():
        if fnmatch.fnmatchcase(short, pattern) or fnmatch.fnmatchcase(node, pattern):
            overlay(table)
    r_on, r_off = MODEL_BOUNDS[tables["device"]["model"]]
    tables["r_on"] = float(tables["device"].get("r_on", r_on))
    tables["r_off"] = float(tables["device"].get("r_off", r_off))
    tables["nonideality"] = entries
    tables["patch"] = patch
    needs_data = tables["adc"]["range"] == "calibrated" or tables["input"]["scale"] == "calibrated"
    assert not needs_data or tables["adc"]["calibration"] == "data", "random inputs are not simulated"
    assert tables["adc"]["range_fit"] == "percentile"
    assert tables["tune"]["samples"] == 0 or tables["tune"]["inputs"] == "data", "random inputs are not simulated"
    again = any(entry.get("compensation", False) for entry in entries)
    assert not again or tables["tune"]["inputs"] == "data", "random inputs are not simulated"
    assert not again or tables["crossbar"]["group_packing"] == "separate"
    return tables


# ---------------------------------------------------------------- networks


def attribute(node, name, default=None):
    for a in node.attribute:
        if a.name == name:
            return onnx.helper.get_attribute_value(a)
    return default


def patches(x, kernel, strides, pads, dilations, groups):
    """Patches `[groups, samples * positions, rows]` of `x [samples, channels, spatial...]`; word line k is the
    flat index of the kernel in (channel, spatial...) order."""
    rank = len(kernel)
    x = np.pad(x, [(0, 0), (0, 0)] + [(pads[d], pads[rank + d]) for d in range(rank)])
    out = [(x.shape[2 + d] - dilations[d] * (kernel[d] - 1) - 1) // strides[d] + 1 for d in range(rank)]
    picked = x
    for d in range(rank):
        # Replaces spatial axis d by (position, tap); taps are collected at the end.
        index = strides[d] * np.arange(out[d])[:, None] + dilations[d] * np.arange(kernel[d])[None, :]
        axis = 2 + 2 * d
        picked = np.take(picked, index, axis=axis)
    # picked: [samples, channels, out0, tap0, out1, tap1, ...]
    n, c = picked.shape[:2]
    picked = picked.reshape([n, groups, c // groups] + [v for d in range(rank) for v in (out[d], kernel[d])])
    order = [1, 0] + [3 + 2 * d for d in range(rank)] + [2] + [4 + 2 * d for d in range(rank)]
    return picked.transpose(order).reshape(groups, n * int(np.prod(out)), -1), out


class Network:
    """A trained network; with an experiment its linear layers are on crossbars, else they are exact f64 products."""

    def __init__(self, path, experiment=None, calibration=None):
        """`calibration(n)` gives n images with whose layer inputs something is calibrated or tuned."""
        self.graph = onnx.load(path).graph
        self.path, self.calibration, self.seen = path, calibration, None
        self.experiment = experiment
        self.constants = {i.name: numpy_helper.to_array(i) for i in self.graph.initializer}
        for node in self.graph.node:
            if node.op_type == "Constant":
                self.constants[node.output[0]] = numpy_helper.to_array(attribute(node, "value"))
        self.layers = {}
        self.near = 0
        self.flip = False
        if experiment and experiment.get("model", {}).get("fold_batch_norm"):
            self.fold()

    def fold(self):
        """BatchNormalization merged into the convolution before it, in f64, rounded once."""
        nodes = list(self.graph.node)
        for bn in [n for n in nodes if n.op_type == "BatchNormalization"]:
            conv = next(n for n in nodes if n.output and n.output[0] == bn.input[0])
            scale, shift, mean, var = (self.constants[i].astype(F64) for i in bn.input[1:])
            factor = scale / np.sqrt(var + attribute(bn, "epsilon", 1e-5))
            weight = self.constants[conv.input[1]].astype(F64)
            bias = self.constants[conv.input[2]].astype(F64) if len(conv.input) > 2 else 0.0
            self.constants[conv.input[1]] = (weight * factor.reshape((-1,) + (1,) * (weight.ndim - 1))).astype(F32)
            name = conv.input[2] if len(conv.input) > 2 else conv.name + ".folded_bias"
            self.constants[name] = ((bias - mean) * factor + shift).astype(F32)
            if len(conv.input) <= 2:
                conv.input.append(name)
            conv.output[0] = bn.output[0]
            self.graph.node.remove(bn)

    def names(self, node):
        weight = node.input[1]
        if weight.endswith(".weight"):
            return weight[: -len(".weight")], node.name
        return node.name.rsplit("/", 1)[0].lstrip("/") or node.name, node.name

    def linear(self, node, weights, samples, vectors, owner, part=""):
        """The seam: `vectors(v)` turns scaled samples into word-line vectors `[groups, vectors, rows]`."""
        short, full = self.names(node)
        short += part
        cfg = settings_of_layer(self.experiment, short, full) if self.experiment else None
        if self.seen is not None:
            # Recording: the digital network as memtorch computes it.
            self.seen.setdefault(short, []).append((samples, vectors, owner))
            return chain(vectors(samples), weights.astype(F32))
        if cfg is None or not cfg["patch"]:
            return (vectors(samples).astype(F64) @ weights.astype(F64)).astype(F32)
        if short not in self.layers:
            self.layers[short] = CrossbarLayer(weights, cfg)
            self.measure(short, self.layers[short], weights)
        layer = self.layers[short]
        layer.adc.flip = self.flip
        v, s = layer.volts(samples)
        y = layer.product(vectors(v), s, owner)
        self.near = self.near + layer.near
        return y

    def measure(self, short, layer, weights):
        """Calibrates and tunes a layer with what it sees in the digital network."""
        cfg = layer.cfg
        counts = [cfg["tune"]["samples"], 0]
        if cfg["adc"]["range"] == "calibrated" or cfg["input"]["scale"] == "calibrated":
            counts[1] = cfg["adc"]["calibration_samples"]
        if counts[1]:
            layer.calibrate(self.recorded(counts[1])[short])
        if counts[0]:
            layer.tune(self.recorded(counts[0])[short], weights)
        again = any(entry.get("compensation", False) for entry in cfg["nonideality"])
        # As many as tuning takes unless it says otherwise.
        layer.age(self.recorded(counts[0] or 8)[short] if again else None)

    def recorded(self, count):
        fold = {"model": {"fold_batch_norm": self.experiment.get("model", {}).get("fold_batch_norm", False)}}
        digital = Network(self.path, {**fold, "device": {"model": "vteam"}})
        digital.seen = {}
        digital.run(self.calibration(count))
        return digital.seen

    def conv(self, node, x):
        weight = self.constants[node.input[1]]
        rank = weight.ndim - 2
        groups = attribute(node, "group", 1)
        matrices = weight.reshape(groups, weight.shape[0] // groups, -1).transpose(0, 2, 1)
        ones = [1] * rank
        shape = (list(weight.shape[2:]), attribute(node, "strides", ones), attribute(node, "pads", [0] * 2 * rank),
                 attribute(node, "dilations", ones), groups)
        _, out = patches(x[:1], *shape)
        owner = np.repeat(np.arange(len(x)), int(np.prod(out)))
        y = self.linear(node, matrices, x, lambda v: patches(v, *shape)[0], owner)
        y = y.reshape(groups, len(x), int(np.prod(out)), -1).transpose(1, 0, 3, 2).reshape([len(x), weight.shape[0]] + out)
        if len(node.input) > 2:
            y = y + self.constants[node.input[2]].reshape([1, -1] + [1] * rank)
        return y

    def gemm(self, node, x):
        assert attribute(node, "alpha", 1.0) == 1.0 and attribute(node, "beta", 1.0) == 1.0 and not attribute(node, "transA", 0)
        weight = self.constants[node.input[1]]
        weight = weight.T if attribute(node, "transB", 0) else weight
        y = self.linear(node, weight[None], x, lambda v: v[None], np.arange(len(x)))[0]
        return y + self.constants[node.input[2]] if len(node.input) > 2 else y

    def lstm(self, node, args):
        """W and R are arrays of their own; a sample is one time step of one sequence. Gates in the order i, o, f, c."""
        x, w, r, bias, lengths, h, c = args
        assert lengths is None and w.shape[0] == 1 and attribute(node, "direction", b"forward") == b"forward"
        w, r, (bias,), h, c = w[0].T, r[0].T, bias, h[0], c[0]
        half = len(bias) // 2
        sigmoid = lambda value: (1.0 / (1.0 + np.exp(-value.astype(F64)))).astype(F32)
        tanh = lambda value: np.tanh(value.astype(F64)).astype(F32)
        owner, outputs = np.arange(x.shape[1]), []
        for step in x:
            gates = self.linear(node, w[None], step, lambda v: v[None], owner, ".W")[0] + bias[:half]
            gates = gates + (self.linear(node, r[None], h, lambda v: v[None], owner, ".R")[0] + bias[half:])
            i, o, f, g = np.split(gates, 4, axis=1)
            c = sigmoid(f) * c + sigmoid(i) * tanh(g)
            h = sigmoid(o) * tanh(c)
            outputs.append(h)
        return [np.stack(outputs)[:, None], h[None], c[None]]

    def run(self, images):
        self.near = np.zeros(len(images), int)
        values = dict(self.constants)
        values[self.graph.input[0].name] = images.astype(F32)
        for node in self.graph.node:
            if node.op_type == "Constant":
                continue
            args = [values[i] if i else None for i in node.input]
            results = self.lstm(node, args) if node.op_type == "LSTM" else [self.step(node, args)]
            for name, value in zip(node.output, results):
                values[name] = value
        return values[self.graph.output[0].name]

    def step(self, node, args):
        x, op = args[0], node.op_type
        if op == "Conv":
            return self.conv(node, x)
        if op == "Gemm":
            return self.gemm(node, x)
        if op == "MatMul":
            return self.linear(node, self.constants[node.input[1]][None], x, lambda v: v[None], np.arange(len(x)))[0]
        if op == "Relu":
            return np.maximum(x, F32(0))
        if op == "Clip":
            return np.clip(x, args[1], args[2])
        if op == "Add":
            return x + args[1]
        if op == "Flatten":
            return x.reshape(len(x), -1)
        if op == "Squeeze":
            return np.squeeze(x, axis=tuple(int(a) for a in args[1]))
        if op == "Unsqueeze":
            return np.expand_dims(x, axis=tuple(int(a) for a in args[1]))
        if op == "Shape":
            return np.array(x.shape)
        if op == "Gather":
            return np.take(x, args[1], axis=attribute(node, "axis", 0))
        if op == "Concat":
            return np.concatenate(args, axis=attribute(node, "axis"))
        if op == "ConstantOfShape":
            return np.full(x, numpy_helper.to_array(attribute(node, "value"))[0])
        if op == "Transpose":
            return x.transpose(attribute(node, "perm"))
        if op == "GlobalAveragePool":
            return x.astype(F64).mean(axis=tuple(range(2, x.ndim)), keepdims=True).astype(F32)
        if op == "MaxPool":
            kernel, strides = attribute(node, "kernel_shape"), attribute(node, "strides")
            assert not any(attribute(node, "pads", [0])) and not attribute(node, "ceil_mode", 0)
            rows, out = patches(x, kernel, strides, [0] * 2 * len(kernel), [1] * len(kernel), x.shape[1])
            return rows.max(axis=2).reshape(x.shape[1], len(x), -1).transpose(1, 0, 2).reshape(list(x.shape[:2]) + out)
        if op == "BatchNormalization":
            scale, shift, mean, var = (a.astype(F64).reshape([1, -1] + [1] * (x.ndim - 2)) for a in args[1:])
            return ((x.astype(F64) - mean) * (scale / np.sqrt(var + attribute(node, "epsilon", 1e-5))) + shift).astype(F32)
        raise NotImplementedError(op)
