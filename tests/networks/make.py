"""Makes the networks that tests of sweeps use.

    python tests/networks/make.py        (numpy, onnx)

small.onnx: 49-16-10 on images of Fashion-MNIST that it makes smaller first, trained on the 2,000 images of data/, of which it
gets 85.8 % right. cifar10.onnx: a convolution, one for each channel with batch normalisation, one of 1 x 1; random weights.
"""

import gzip
import pathlib

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

HERE = pathlib.Path(__file__).parent
DATA = HERE.parents[1] / "data"
random = np.random.default_rng(0)


def bytes_of(kind, skip):
    path = DATA / f"fashion-mnist-t2k-{kind}-ubyte.gz"
    return np.frombuffer(gzip.open(path).read()[skip:], np.uint8)


def save(name, image, nodes, weights):
    values = [numpy_helper.from_array(value.astype(np.float32), key) for key, value in weights.items()]
    port = lambda name, shape: helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", *shape])
    graph = helper.make_graph(nodes, name, [port("input", image)], [port("logits", [10])], values)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, HERE / f"{name}.onnx")


def normal(*shape, inputs):
    return random.normal(0, (2 / inputs) ** 0.5, shape)


def trained(x, labels, hidden):
    """Weights and biases of two dense layers, by Adam."""
    parts = [normal(49, hidden, inputs=49), np.zeros(hidden), normal(hidden, 10, inputs=hidden), np.zeros(10)]
    means, squares = [0 * p for p in parts], [0 * p for p in parts]
    wanted, step = np.eye(10)[labels], 0
    for _ in range(150):
        order = random.permutation(len(x))
        for chosen in order.reshape(-1, 50):
            w1, b1, w2, b2 = parts
            a = x[chosen] @ w1 + b1
            z = np.maximum(a, 0)
            e = np.exp(z @ w2 + b2)
            d2 = (e / e.sum(1, keepdims=True) - wanted[chosen]) / len(chosen)
            d1 = (d2 @ w2.T) * (a > 0)
            step += 1
            for part, m, s, g in zip(parts, means, squares, [x[chosen].T @ d1, d1.sum(0), z.T @ d2, d2.sum(0)]):
                m += 0.1 * (g - m)
                s += 0.001 * (g * g - s)
                part -= 0.005 * (m / (1 - 0.9**step)) / (np.sqrt(s / (1 - 0.999**step)) + 1e-8)
    return parts


images = bytes_of("images-idx3", 16).reshape(-1, 7, 4, 7, 4).mean((2, 4)).reshape(-1, 49) / 255
labels = bytes_of("labels-idx1", 8)
w1, b1, w2, b2 = trained(images, labels, 16)
right = (np.maximum(images @ w1 + b1, 0) @ w2 + b2).argmax(1) == labels
print(f"small: {100 * right.mean():.1f} %")
node = helper.make_node
save(
    "small",
    [1, 28, 28],
    [
        node("AveragePool", ["input"], ["pooled"], kernel_shape=[4, 4], strides=[4, 4]),
        node("Flatten", ["pooled"], ["flat"]),
        node("Gemm", ["flat", "fc1.weight", "fc1.bias"], ["a"]),
        node("Relu", ["a"], ["z"]),
        node("Gemm", ["z", "fc2.weight", "fc2.bias"], ["logits"]),
    ],
    {"fc1.weight": w1, "fc1.bias": b1, "fc2.weight": w2, "fc2.bias": b2},
)
save(
    "cifar10",
    [3, 32, 32],
    [
        node("Conv", ["input", "conv1.weight"], ["a"], pads=[1] * 4, strides=[2, 2]),
        node("Relu", ["a"], ["b"]),
        node("Conv", ["b", "conv2.weight"], ["c"], pads=[1] * 4, group=8),
        node("BatchNormalization", ["c", "scale", "shift", "mean", "variance"], ["d"]),
        node("Relu", ["d"], ["e"]),
        node("Conv", ["e", "conv3.weight"], ["f"]),
        node("GlobalAveragePool", ["f"], ["g"]),
        node("Flatten", ["g"], ["logits"]),
    ],
    {
        "conv1.weight": normal(8, 3, 3, 3, inputs=27),
        "conv2.weight": normal(8, 1, 3, 3, inputs=9),
        "conv3.weight": normal(10, 8, 1, 1, inputs=8),
        "scale": random.uniform(0.5, 1.5, 8),
        "shift": random.normal(0, 0.1, 8),
        "mean": random.normal(0, 0.1, 8),
        "variance": random.uniform(0.5, 1.5, 8),
    },
)
