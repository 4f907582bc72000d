#!/usr/bin/env python3
"""Writes odd.onnx: a small network with random weights and the shapes that trained ones seldom have.

Unequal kernel sides, strides, dilations and pads, groups that are not depthwise,
a depthwise convolution with two outputs a channel, a linear layer that is a
MatMul, a Gemm whose weight is not transposed. It classifies nothing; its outputs
depend on every part of the image.
"""

import pathlib

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

rng = np.random.default_rng(20)


def weight(name, *shape, fan, gain=3.0):
    return numpy_helper.from_array((gain * rng.standard_normal(shape) / np.sqrt(fan)).astype(np.float32), name)


initializers = [
    weight("wide.weight", 6, 1, 3, 5, fan=15),
    weight("wide.bias", 6, fan=1, gain=0.1),
    weight("grouped.weight", 8, 3, 2, 3, fan=18),
    weight("twice.weight", 16, 1, 3, 1, fan=3),
    weight("twice.bias", 16, fan=1, gain=0.1),
    weight("project.weight", 192, 20, fan=192),
    weight("fc.weight", 20, 10, fan=20),
    weight("fc.bias", 10, fan=1, gain=0.1),
    weight("shift", 20, fan=1, gain=0.1),
]
nodes = [
    helper.make_node("Conv", ["input", "wide.weight", "wide.bias"], ["a"], "/wide/Conv", kernel_shape=[3, 5],
                     strides=[2, 1], dilations=[1, 2], pads=[0, 1, 2, 3]),
    helper.make_node("Relu", ["a"], ["b"], "/Relu"),
    helper.make_node("Conv", ["b", "grouped.weight"], ["c"], "/grouped/Conv", kernel_shape=[2, 3], strides=[1, 2],
                     dilations=[2, 1], pads=[1, 0, 0, 1], group=2),
    helper.make_node("Relu", ["c"], ["d"], "/Relu_1"),
    helper.make_node("MaxPool", ["d"], ["e"], "/MaxPool", kernel_shape=[2, 3], strides=[2, 3]),
    helper.make_node("Conv", ["e", "twice.weight", "twice.bias"], ["f"], "/twice/Conv", kernel_shape=[3, 1],
                     strides=[2, 1], pads=[1, 0, 0, 0], group=8),
    helper.make_node("Relu", ["f"], ["g"], "/Relu_2"),
    helper.make_node("Flatten", ["g"], ["h"], "/Flatten", axis=1),
    helper.make_node("MatMul", ["h", "project.weight"], ["i"], "/project/MatMul"),
    helper.make_node("Add", ["i", "shift"], ["j"], "/project/Add"),
    helper.make_node("Gemm", ["j", "fc.weight", "fc.bias"], ["logits"], "/fc/Gemm"),
]
graph = helper.make_graph(
    nodes, "odd", [helper.make_tensor_value_info("input", TensorProto.FLOAT, ["N", 1, 28, 28])],
    [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["N", 10])], initializers)
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8, producer_name="make_odd.py")
onnx.checker.check_model(model, full_check=True)
onnx.save(model, pathlib.Path(__file__).resolve().parent / "odd.onnx")
