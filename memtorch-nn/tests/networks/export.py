"""Makes small networks of common architectures and the outputs that onnxruntime gives for them.

    pip install numpy onnx onnxruntime onnxscript torch
    python3 export.py [NAME...]

Writes NAME.ts.onnx (TorchScript exporter) and NAME.dyn.onnx (the default exporter), or NAME.onnx for models
that are put together by hand, and NAME.npz with arrays in/INPUT and out/OUTPUT. BatchNorm is calibrated on
random inputs, and every output is seen to depend on every input. Made with torch 2.15.0, onnx 1.23.2,
onnxruntime 1.32.0, onnxscript 0.7.2, numpy 2.4.6.
"""

import pathlib
import sys
import warnings

import numpy as np
import onnx
import onnxruntime
import torch
import torch.nn.functional as F
from onnx import TensorProto, helper, numpy_helper
from torch import nn

warnings.filterwarnings("ignore")
HERE = pathlib.Path(__file__).parent
WANTED = sys.argv[1:]
CASES = {}


def case(function):
    CASES[function.__name__] = function
    return function


def outputs(path, feeds):
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    names = [port.name for port in session.get_outputs()]
    return dict(zip(names, session.run(names, feeds)))


def check(path, feeds, kept):
    """The file gives these outputs, and each depends on each input of real numbers."""
    found = outputs(path, feeds)
    for name, value in found.items():
        assert np.isfinite(value).all(), (path, name)
        if kept is not None:
            scale = np.abs(kept[name]).max()
            assert np.abs(value - kept[name]).max() < 1e-5 * scale, (path, name)
    for name, value in feeds.items():
        if value.dtype != np.float32:
            continue
        changed = outputs(path, {**feeds, name: value + np.random.default_rng(9).normal(size=value.shape).astype(np.float32)})
        for out, y in found.items():
            change = np.abs(changed[out] - y).max() / np.abs(y).max()
            assert change > 1e-2, (path, name, out, change)
    return found


def keep(name, feeds, found):
    arrays = {f"in/{k}": v for k, v in feeds.items()} | {f"out/{k}": v for k, v in found.items()}
    np.savez(HERE / f"{name}.npz", **arrays)


def torch_case(name, module, inputs, outs=("y",), dynamic=None, exporters=("ts", "dyn"), opset=18, calibrate=True):
    """inputs: name -> tensor."""
    if calibrate and any(isinstance(m, nn.modules.batchnorm._BatchNorm) for m in module.modules()):
        module.train()
        for m in module.modules():
            if isinstance(m, nn.modules.batchnorm._BatchNorm):
                nn.init.uniform_(m.weight, 0.5, 1.5)
                nn.init.uniform_(m.bias, -0.3, 0.3)
        with torch.no_grad():
            for _ in range(40):
                module(*[torch.randn(8, *x.shape[1:]) for x in inputs.values()])
    module.eval()
    feeds = {k: v.numpy() for k, v in inputs.items()}
    kept = None
    for exporter in exporters:
        path = str(HERE / f"{name}.{exporter}.onnx")
        more = {}
        if dynamic and exporter == "ts":
            more["dynamic_axes"] = {k: {0: "batch"} for k in (*inputs, *outs)}
        if dynamic and exporter == "dyn":
            more["dynamic_shapes"] = tuple({0: torch.export.Dim("batch", min=1)} for _ in inputs)
        torch.onnx.export(
            module, tuple(inputs.values()), path, input_names=list(inputs), output_names=list(outs),
            dynamo=exporter == "dyn", opset_version=17 if exporter == "ts" else opset, verbose=False,
            **({"external_data": False} if exporter == "dyn" else {}), **more)
        strip(path)
        kept = check(path, feeds, kept)
    with torch.no_grad():
        y = module(*inputs.values())
    y = y if isinstance(y, tuple) else (y,)
    for out, value in zip(outs, y):
        assert np.abs(kept[out] - value.numpy()).max() < 1e-5 * np.abs(kept[out]).max(), (name, out)
    keep(name, feeds, kept)


def strip(path):
    """Leaves out what exporters note for people: it is larger than the network."""
    model = onnx.load(path)
    for node in model.graph.node:
        kept = [p for p in node.metadata_props if p.key == "pkg.torch.onnx.name_scopes"]
        del node.metadata_props[:]
        node.metadata_props.extend(kept)
        node.doc_string = ""
    del model.metadata_props[:]
    del model.graph.metadata_props[:]
    del model.graph.value_info[:]
    onnx.save(model, path)


def hand_case(name, nodes, feeds, outs, constants, opset=17):
    graph = helper.make_graph(
        nodes, name,
        [helper.make_tensor_value_info(k, helper.np_dtype_to_tensor_dtype(v.dtype), v.shape) for k, v in feeds.items()],
        [helper.make_tensor_value_info(k, TensorProto.FLOAT, [None] * rank) for k, rank in outs.items()],
        [numpy_helper.from_array(v, k) for k, v in constants.items()])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=9)
    onnx.checker.check_model(model)
    path = str(HERE / f"{name}.onnx")
    onnx.save(model, path)
    keep(name, feeds, check(path, feeds, None))


class BasicBlock(nn.Module):
    def __init__(self, i, o, stride):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(i, o, 3, stride, 1, bias=False), nn.BatchNorm2d(o)
        self.conv2, self.bn2 = nn.Conv2d(o, o, 3, 1, 1, bias=False), nn.BatchNorm2d(o)
        self.down = None
        if stride != 1 or i != o:
            self.down = nn.Sequential(nn.Conv2d(i, o, 1, stride, bias=False), nn.BatchNorm2d(o))

    def forward(self, x):
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        return F.relu(y + (x if self.down is None else self.down(x)))


@case
def resnet():
    net = nn.Sequential(
        nn.Conv2d(3, 8, 7, 2, 3, bias=False), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(3, 2, 1),
        BasicBlock(8, 8, 1), BasicBlock(8, 16, 2), nn.AdaptiveAvgPool2d(1), nn.Flatten(1), nn.Linear(16, 5))
    torch_case("resnet", net, {"x": torch.randn(2, 3, 32, 32)}, dynamic=True)


class SqueezeExcite(nn.Module):
    def __init__(self, c, r, act, gate):
        super().__init__()
        self.fc1, self.fc2, self.act, self.gate = nn.Conv2d(c, r, 1), nn.Conv2d(r, c, 1), act, gate

    def forward(self, x):
        return x * self.gate(self.fc2(self.act(self.fc1(F.adaptive_avg_pool2d(x, 1)))))


class Inverted(nn.Module):
    def __init__(self, i, e, o, k, stride, act, gate):
        super().__init__()
        self.expand = nn.Sequential(nn.Conv2d(i, e, 1, bias=False), nn.BatchNorm2d(e), act())
        self.depth = nn.Sequential(nn.Conv2d(e, e, k, stride, k // 2, groups=e, bias=False), nn.BatchNorm2d(e), act())
        self.se = SqueezeExcite(e, 4, nn.ReLU() if act is nn.Hardswish else nn.SiLU(), gate)
        self.project = nn.Sequential(nn.Conv2d(e, o, 1, bias=False), nn.BatchNorm2d(o))
        self.skip = stride == 1 and i == o

    def forward(self, x):
        y = self.project(self.se(self.depth(self.expand(x))))
        return x + y if self.skip else y


@case
def mobilenetv3():
    net = nn.Sequential(
        nn.Conv2d(3, 8, 3, 2, 1), nn.Hardswish(), Inverted(8, 16, 8, 5, 1, nn.Hardswish, nn.Hardsigmoid()),
        Inverted(8, 24, 12, 3, 2, nn.Hardswish, nn.Hardsigmoid()), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
        nn.Linear(12, 16), nn.Hardswish(), nn.Dropout(0.2), nn.Linear(16, 4))
    torch_case("mobilenetv3", net, {"x": torch.randn(2, 3, 20, 20)})


@case
def efficientnet():
    net = nn.Sequential(
        nn.Conv2d(3, 8, 3, 2, 1), nn.BatchNorm2d(8), nn.SiLU(), Inverted(8, 16, 8, 3, 1, nn.SiLU, nn.Sigmoid()),
        Inverted(8, 24, 12, 5, 2, nn.SiLU, nn.Sigmoid()), nn.AdaptiveAvgPool2d(1), nn.Flatten(1), nn.Linear(12, 4))
    torch_case("efficientnet", net, {"x": torch.randn(2, 3, 18, 18)})


class ViT(nn.Module):
    def __init__(self):
        super().__init__()
        self.patch = nn.Conv2d(3, 16, 4, 4)
        self.cls, self.pos = nn.Parameter(torch.randn(1, 1, 16)), nn.Parameter(torch.randn(1, 17, 16))
        self.ln1, self.ln2, self.ln3 = (nn.LayerNorm(16) for _ in range(3))
        self.attention = nn.MultiheadAttention(16, 4, batch_first=True)
        self.mlp = nn.Sequential(nn.Linear(16, 32), nn.GELU(), nn.Linear(32, 16))
        self.head = nn.Linear(16, 5)

    def forward(self, x):
        x = self.patch(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.cls.expand(x.shape[0], -1, -1), x], 1) + self.pos
        y = self.ln1(x)
        x = x + self.attention(y, y, y, need_weights=False)[0]
        x = x + self.mlp(self.ln2(x))
        return self.head(self.ln3(x)[:, 0])


@case
def vit():
    torch_case("vit", ViT(), {"x": torch.randn(2, 3, 16, 16)}, dynamic=True)


@case
def encoder():
    layer = nn.TransformerEncoderLayer(16, 2, 32, activation="gelu", batch_first=True, norm_first=True)
    torch.backends.mha.set_fastpath_enabled(False)
    net = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
    for parameter in net.parameters():
        if parameter.dim() == 1:
            nn.init.normal_(parameter, 0.5, 0.3)
    torch_case("encoder", net, {"x": torch.randn(2, 7, 16)})


class Causal(nn.Module):
    """A decoder of words: embedding, causal attention, RMS norm, gated MLP."""

    def __init__(self):
        super().__init__()
        self.embed, self.qkv, self.out = nn.Embedding(20, 16), nn.Linear(16, 48, bias=False), nn.Linear(16, 16, bias=False)
        self.gate, self.up, self.down = (nn.Linear(*s, bias=False) for s in ((16, 24), (16, 24), (24, 16)))
        self.norm, self.head = nn.Parameter(torch.rand(16) + 0.5), nn.Linear(16, 20, bias=False)

    def rms(self, x):
        return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-5) * self.norm

    def forward(self, tokens):
        x = self.embed(tokens)
        b, t, c = x.shape
        q, k, v = (y.view(b, t, 2, 8).transpose(1, 2) for y in self.qkv(self.rms(x)).split(16, 2))
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.out(y.transpose(1, 2).reshape(b, t, c))
        y = self.rms(x)
        x = x + self.down(F.silu(self.gate(y)) * self.up(y))
        return self.head(self.rms(x))


@case
def decoder():
    torch_case("decoder", Causal(), {"tokens": torch.randint(0, 20, (2, 9))})


class ECG(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Sequential(
            nn.Conv1d(2, 8, 7, 2, 3), nn.BatchNorm1d(8), nn.LeakyReLU(0.1), nn.MaxPool1d(2),
            nn.Conv1d(8, 12, 5, padding=4, dilation=2), nn.BatchNorm1d(12), nn.ELU())
        self.gru, self.fc = nn.GRU(12, 10, batch_first=True), nn.Linear(10, 4)

    def forward(self, x):
        y, _ = self.gru(self.conv(x).transpose(1, 2))
        return self.fc(y[:, -1])


@case
def ecg():
    torch_case("ecg", ECG(), {"x": torch.randn(3, 2, 64)})


class Speech(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Sequential(nn.Conv2d(1, 4, (5, 3), (2, 1), (2, 1)), nn.BatchNorm2d(4), nn.Hardtanh(0, 6))
        self.lstm = nn.LSTM(4 * 10, 8, num_layers=1, bidirectional=True, batch_first=True)
        self.fc = nn.Linear(16, 6)

    def forward(self, x):
        y = self.conv(x)
        b, c, f, t = y.shape
        y, _ = self.lstm(y.permute(0, 3, 1, 2).reshape(b, t, c * f))
        return F.log_softmax(self.fc(y), -1)


@case
def speech():
    torch_case("speech", Speech(), {"x": torch.randn(2, 1, 20, 12)})


class Lengths(nn.Module):
    """Sequences of several lengths, with states that are inputs and outputs."""

    def __init__(self):
        super().__init__()
        self.lstm = nn.LSTM(5, 6)

    def forward(self, x, lengths, h, c):
        packed = nn.utils.rnn.pack_padded_sequence(x, lengths, enforce_sorted=True)
        y, (h, c) = self.lstm(packed, (h, c))
        return nn.utils.rnn.pad_packed_sequence(y, total_length=7)[0], h, c


@case
def lengths():
    inputs = {"x": torch.randn(7, 3, 5), "lengths": torch.tensor([7, 4, 2]), "h": torch.randn(1, 3, 6), "c": torch.randn(1, 3, 6)}
    torch_case("lengths", Lengths(), inputs, outs=("y", "h_n", "c_n"), exporters=("ts",))


@case
def video():
    net = nn.Sequential(
        nn.Conv3d(2, 6, 3, (1, 2, 2), 1, bias=False), nn.BatchNorm3d(6), nn.ReLU(), nn.MaxPool3d((1, 2, 2)),
        nn.Conv3d(6, 6, (3, 1, 1), padding=(2, 0, 0), dilation=(2, 1, 1), groups=3), nn.ReLU(),
        nn.AvgPool3d(2, ceil_mode=True), nn.AdaptiveAvgPool3d(1), nn.Flatten(), nn.Linear(6, 3))
    torch_case("video", net, {"x": torch.randn(2, 2, 4, 16, 16)})


@case
def transposed():
    net = nn.Sequential(
        nn.ConvTranspose2d(4, 6, 4, 2, 1), nn.BatchNorm2d(6), nn.ReLU(),
        nn.ConvTranspose2d(6, 4, 3, 2, 1, output_padding=1, groups=2), nn.Tanh(),
        nn.ConvTranspose2d(4, 2, 3, 1, 2, dilation=2))
    torch_case("transposed", net, {"x": torch.randn(2, 4, 5, 6)})


@case
def transposed1():
    torch_case("transposed1", nn.ConvTranspose1d(3, 4, 5, 3, 1, output_padding=2), {"x": torch.randn(2, 3, 6)})


@case
def transposed3():
    torch_case("transposed3", nn.ConvTranspose3d(2, 3, 3, 2, 1, 1), {"x": torch.randn(1, 2, 3, 3, 2)})


class Padded(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = nn.Conv2d(4, 8, (3, 2), (2, 1), dilation=(1, 3), groups=2)
        self.b = nn.Conv2d(8, 6, 3, padding="same", padding_mode="reflect")
        self.c = nn.Conv2d(6, 4, (2, 4), padding="same")

    def forward(self, x):
        x = F.relu(self.a(F.pad(x, (3, 1, 0, 2))))
        return self.c(F.gelu(self.b(x), approximate="tanh"))


@case
def padded():
    torch_case("padded", Padded(), {"x": torch.randn(2, 4, 9, 8)})


class Batched(nn.Module):
    """Shapes that are computed from the batch."""

    def __init__(self):
        super().__init__()
        self.fc, self.mix, self.query = nn.Linear(6, 8), nn.Linear(4, 4), nn.Parameter(torch.randn(3, 8))

    def forward(self, x):
        b, t = x.shape[0], x.shape[1]
        y = torch.tanh(self.fc(x.reshape(b * t, 6))).view(b, t, 2, 4)
        y = self.mix(y).permute(0, 2, 1, 3).reshape(b, -1, 8)
        q = self.query.unsqueeze(0).repeat(b, 1, 1)
        return torch.cat([torch.bmm(q, y.transpose(1, 2)).flatten(1), torch.arange(b).unsqueeze(1) / b + y.mean((1, 2)).unsqueeze(1)], 1)


@case
def batched():
    torch_case("batched", Batched(), {"x": torch.randn(3, 5, 6)}, dynamic=True)


class TwoTower(nn.Module):
    def __init__(self):
        super().__init__()
        self.image = nn.Sequential(nn.Conv2d(1, 4, 3, 2), nn.ReLU(), nn.Flatten(), nn.Linear(36, 8))
        self.table = nn.Sequential(nn.Linear(5, 8), nn.PReLU(8), nn.Linear(8, 8))
        self.score, self.value = nn.Linear(16, 3), nn.Linear(16, 1)

    def forward(self, image, table):
        a, b = F.normalize(self.image(image), dim=1), self.table(table)
        y = torch.cat([a, b], 1)
        return F.softmax(self.score(y), 1), self.value(y).squeeze(1)


@case
def two_tower():
    inputs = {"image": torch.randn(3, 1, 8, 8), "table": torch.randn(3, 5)}
    torch_case("two_tower", TwoTower(), inputs, outs=("scores", "value"), dynamic=True)


class UNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b, self.c = nn.Conv2d(1, 4, 3, padding=1), nn.Conv2d(4, 8, 3, padding=1), nn.Conv2d(12, 4, 3, padding=1)
        self.up, self.out = nn.ConvTranspose2d(8, 8, 2, 2), nn.Conv2d(4 + 1, 2, 1)

    def forward(self, x):
        a = F.relu(self.a(x))
        b = F.relu(self.b(F.max_pool2d(a, 2)))
        c = F.relu(self.c(torch.cat([a, self.up(b)], 1)))
        d = F.interpolate(F.avg_pool2d(x, 2), scale_factor=2, mode="bilinear", align_corners=False)
        return self.out(torch.cat([c, d], 1))


@case
def unet():
    torch_case("unet", UNet(), {"x": torch.randn(1, 1, 12, 12)})


class TCN(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList(
            nn.utils.parametrizations.weight_norm(nn.Conv1d(4, 4, 3, padding=2 * d, dilation=d)) for d in (1, 2, 4))
        self.fc = nn.Linear(4, 3)

    def forward(self, x):
        for layer in self.layers:
            x = x + F.relu(layer(x)[..., : x.shape[-1]])
        return self.fc(x[..., -1])


@case
def tcn():
    torch_case("tcn", TCN(), {"x": torch.randn(2, 4, 20)})


class ConvNeXt(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem, self.depth = nn.Conv2d(3, 8, 4, 4), nn.Conv2d(8, 8, 7, padding=3, groups=8)
        self.norm, self.up, self.down = nn.LayerNorm(8), nn.Linear(8, 32), nn.Linear(32, 8)
        self.scale, self.group, self.instance = nn.Parameter(torch.rand(8) + 0.5), nn.GroupNorm(2, 8), nn.InstanceNorm2d(8, affine=True)
        self.head = nn.Linear(8, 4)

    def forward(self, x):
        x = self.stem(x)
        y = self.norm(self.depth(x).permute(0, 2, 3, 1))
        y = (self.scale * self.down(F.gelu(self.up(y)))).permute(0, 3, 1, 2)
        x = F.mish(self.group(x + y))
        return self.head(F.softplus(x + self.instance(x)).mean((-2, -1)))


@case
def convnext():
    torch_case("convnext", ConvNeXt(), {"x": torch.randn(2, 3, 24, 24)})


@case
def auto_pad():
    r = np.random.default_rng(3)
    real = lambda *s: r.normal(size=s).astype(np.float32)
    w = {"w1": real(6, 3, 3, 2), "w2": real(6, 2, 4, 3), "w3": real(4, 6, 2, 5), "t1": real(4, 3, 3, 2), "t2": real(3, 2, 4, 4)}
    node = helper.make_node
    nodes = [
        node("Conv", ["x", "w1"], ["a"], auto_pad="SAME_UPPER", strides=[2, 1]),
        node("Relu", ["a"], ["b"]),
        node("Conv", ["b", "w2"], ["c"], auto_pad="SAME_LOWER", strides=[1, 2], dilations=[1, 1], group=3),
        node("Tanh", ["c"], ["d"]),
        node("Conv", ["d", "w3"], ["e"], auto_pad="VALID"),
        node("ConvTranspose", ["e", "t1"], ["f"], auto_pad="SAME_UPPER", strides=[2, 2]),
        node("ConvTranspose", ["f", "t2"], ["y"], auto_pad="SAME_LOWER", strides=[3, 2]),
    ]
    hand_case("auto_pad", nodes, {"x": real(2, 3, 9, 11)}, {"y": 4}, w)


@case
def recurrent():
    """What Keras writes: a GRU whose reset acts before the product, a two-way RNN, an LSTM with peepholes."""
    r = np.random.default_rng(4)
    real = lambda *s: (0.4 * r.normal(size=s)).astype(np.float32)
    node = helper.make_node
    constants = {
        "gw": real(2, 18, 5), "gr": real(2, 18, 6), "gb": real(2, 36), "gh": real(2, 3, 6),
        "rw": real(2, 4, 12), "rr": real(2, 4, 4), "lw": real(1, 12, 8), "lr": real(1, 12, 3), "lb": real(1, 24), "lp": real(1, 9),
        "s1": np.array([0, 0, -1]), "one": np.array([1]),
    }
    nodes = [
        node("GRU", ["x", "gw", "gr", "gb", "", "gh"], ["g4", "state"], hidden_size=6, direction="bidirectional"),
        node("Transpose", ["g4"], ["gt"], perm=[0, 2, 1, 3]),
        node("Reshape", ["gt", "s1"], ["g"]),
        node("RNN", ["g", "rw", "rr"], ["r4"], hidden_size=4, direction="bidirectional", activations=["Relu", "Tanh"]),
        node("Transpose", ["r4"], ["rt"], perm=[0, 2, 1, 3]),
        node("Reshape", ["rt", "s1"], ["r"]),
        node("LSTM", ["r", "lw", "lr", "lb", "", "", "", "lp"], ["l4"], hidden_size=3, direction="reverse", clip=2.0),
        node("Squeeze", ["l4", "one"], ["y"]),
    ]
    hand_case("recurrent", nodes, {"x": (3 * real(5, 3, 5)).astype(np.float32)}, {"y": 3, "state": 3}, constants)


for name, make in CASES.items():
    if WANTED and name not in WANTED:
        continue
    torch.manual_seed(len(name) * 7 + sum(map(ord, name)))
    make()
    print(name, *(f"{p.name}:{p.stat().st_size}" for p in sorted(HERE.glob(f"{name}*.*"))))
