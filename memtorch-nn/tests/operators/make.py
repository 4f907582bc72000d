"""Makes small one-node models and the outputs that onnxruntime gives for them.

    pip install numpy onnx onnxruntime
    python3 make.py

Writes NAME.onnx for each case and cases.json with inputs and expected outputs. Made with onnx 1.23.2,
onnxruntime 1.32.0, numpy 2.4.6.
"""

import json
import pathlib

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

HERE = pathlib.Path(__file__).parent
RANDOM = np.random.default_rng(20)
cases = {}


def real(*shape, low=-2.0, high=2.0):
    return RANDOM.uniform(low, high, shape).astype(np.float32)


def whole(*values):
    return np.array(values, dtype=np.int64)


def case(name, operator, inputs, constants=(), outputs=1, opset=17, **attributes):
    """One node: inputs that vary, then constants (None: left out), in the order of the operator."""
    feeds, initialisers, names, graph_inputs = {}, [], [], []
    for i, value in enumerate(inputs):
        if value is None:
            names.append("")
            continue
        names.append(f"x{i}")
        feeds[f"x{i}"] = value
        kind = helper.np_dtype_to_tensor_dtype(value.dtype)
        graph_inputs.append(helper.make_tensor_value_info(f"x{i}", kind, list(value.shape)))
    for i, value in enumerate(constants):
        if value is None:
            names.append("")
            continue
        names.append(f"c{i}")
        initialisers.append(numpy_helper.from_array(np.asarray(value), f"c{i}"))
    out = [f"y{i}" for i in range(outputs)]
    node = helper.make_node(operator, names, out, name="node", **attributes)
    graph = helper.make_graph(
        [node], "g", graph_inputs, [onnx.ValueInfoProto(name=o) for o in out], initialisers
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=10)
    model = onnx.shape_inference.infer_shapes(model)
    for o in model.graph.output:
        if not o.type.HasField("tensor_type"):
            o.type.tensor_type.elem_type = TensorProto.FLOAT
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    results = session.run(None, feeds)
    onnx.save(model, HERE / f"{name}.onnx")

    def dump(value):
        value = np.asarray(value)
        assert value.dtype != object
        if value.dtype == np.float32:
            assert np.isfinite(value).all(), name
        return {"kind": value.dtype.name, "shape": list(value.shape), "values": value.ravel().tolist()}

    cases[name] = {
        "inputs": {k: dump(v) for k, v in feeds.items()},
        "outputs": {o: dump(r) for o, r in zip(out, results)},
    }


x = real(2, 3, 4)
for operator in ["Relu", "Sigmoid", "Tanh", "Elu", "Celu", "Selu", "Softplus", "Softsign", "HardSigmoid",
                 "HardSwish", "LeakyRelu", "ThresholdedRelu", "Mish", "Erf", "Exp", "Neg", "Abs", "Sign",
                 "Floor", "Ceil", "Round", "Sin", "Cos", "Reciprocal"]:
    case(operator.lower(), operator, [x], opset=18 if operator == "Mish" else 17)
case("log", "Log", [real(7, low=0.1)])
case("sqrt", "Sqrt", [real(7, low=0.0)])
case("gelu", "Gelu", [x], opset=20)
case("gelu_tanh", "Gelu", [x], opset=20, approximate="tanh")
case("clip", "Clip", [x], [np.float32(-0.5), np.float32(1.0)])
case("clip_low", "Clip", [x], [np.float32(-0.5)])
case("prelu", "PRelu", [x], [real(3, 1)])
case("softmax_axis", "Softmax", [x], axis=1)
case("softmax_old", "Softmax", [x], axis=1, opset=11)
case("logsoftmax", "LogSoftmax", [x], axis=-1)
case("add_broadcast", "Add", [x, real(3, 1)])
case("sub_left", "Sub", [real(4), x])
case("mul_both", "Mul", [real(2, 1, 4), real(3, 1)])
case("div", "Div", [x, real(4, low=0.5)])
case("pow", "Pow", [real(5, low=0.1), real(5)])
case("pow_whole", "Pow", [x], [np.float32(2)])
case("min_three", "Min", [x, real(4), real(1)])
case("max_three", "Max", [x, real(4), real(1)])
case("mean_three", "Mean", [x, real(4), real(1)])
case("sum_three", "Sum", [x, real(4), real(1)])
case("mod_whole", "Mod", [whole(7, -7, 7, -7), whole(3, 3, -3, -3)])
case("mod_fmod", "Mod", [real(6), real(6, low=0.5)], fmod=1)
case("div_whole", "Div", [whole(7, -7, 9), whole(2, 2, -4)])
case("where", "Where", [np.array([[True], [False]]), real(2, 3), real(3)])
case("less", "Less", [x, real(4)])
case("greater_or_equal", "GreaterOrEqual", [whole(1, 2, 3), whole(2)])
case("equal", "Equal", [whole(1, 2, 3), whole(1, 5, 3)])
case("transpose", "Transpose", [x], perm=[2, 0, 1])
case("concat", "Concat", [x, real(2, 1, 4)], axis=-2)
case("split", "Split", [real(2, 7)], [whole(3, 4)], outputs=2, axis=1)
case("split_equal", "Split", [real(2, 7)], outputs=3, opset=18, axis=1, num_outputs=3)
case("slice", "Slice", [real(5, 6)], [whole(-1, 1), whole(-100, 6), whole(0, 1), whole(-2, 2)])
case("slice_negative", "Slice", [real(5, 6)], [whole(-4), whole(-1), whole(1)])
case("slice_old", "Slice", [real(5, 6)], opset=9, starts=[1], ends=[4], axes=[1])
case("gather", "Gather", [real(4, 3)], [np.array([[0, -1], [2, 2]])], axis=0)
case("gather_scalar", "Gather", [x], [np.int64(1)], axis=1)
case("gather_elements", "GatherElements", [real(3, 3)], [np.array([[1, 2, 0], [-1, 0, 0]])], axis=0)
case("tile", "Tile", [real(2, 3)], [whole(2, 3)])
case("expand", "Expand", [real(3, 1)], [whole(2, 1, 4)])
case("reshape_infer", "Reshape", [x], [whole(0, -1)])
case("squeeze", "Squeeze", [real(1, 3, 1)], [whole(-1)])
case("unsqueeze", "Unsqueeze", [x], [whole(0, -1)])
case("unsqueeze_old", "Unsqueeze", [x], opset=11, axes=[1])
case("flatten", "Flatten", [x], axis=2)
case("shape", "Shape", [x], start=1)
case("cast_whole", "Cast", [real(6)], to=TensorProto.INT32)
case("cast_bool", "Cast", [np.array([0.0, 1.5], dtype=np.float32)], to=TensorProto.BOOL)
case("argmax", "ArgMax", [real(3, 4)], axis=1, keepdims=0)
case("argmin_last", "ArgMin", [np.array([[1.0, 0.0, 0.0]], dtype=np.float32)], axis=1, select_last_index=1)
for operator in ["ReduceMean", "ReduceMax", "ReduceMin", "ReduceProd", "ReduceL1", "ReduceL2",
                 "ReduceSumSquare", "ReduceLogSumExp"]:
    case(operator.lower(), operator, [x], axes=[0, 2], keepdims=0)
case("reducesum", "ReduceSum", [x], [whole(-2)])
case("reducesum_all", "ReduceSum", [x])
case("reducesum_none", "ReduceSum", [x], noop_with_empty_axes=1)
case("reducelogsum", "ReduceLogSum", [real(2, 3, low=0.1)], axes=[1])
image = real(2, 3, 7, 6)
case("maxpool", "MaxPool", [image], kernel_shape=[3, 2], strides=[2, 3], pads=[1, 0, 1, 1], dilations=[2, 1])
case("maxpool_ceil", "MaxPool", [image], kernel_shape=[3, 3], strides=[2, 2], ceil_mode=1)
case("maxpool_same", "MaxPool", [image], kernel_shape=[2, 3], strides=[2, 2], auto_pad="SAME_LOWER")
case("maxpool1d", "MaxPool", [real(1, 2, 9)], kernel_shape=[4], strides=[3])
case("averagepool", "AveragePool", [image], kernel_shape=[3, 2], strides=[2, 1], pads=[1, 1, 1, 0])
case("averagepool_count", "AveragePool", [image], kernel_shape=[3, 2], strides=[2, 1], pads=[1, 1, 1, 0],
     count_include_pad=1)
case("averagepool_ceil", "AveragePool", [image], kernel_shape=[3, 3], strides=[2, 2], ceil_mode=1, opset=19)
case("averagepool_ceil_count", "AveragePool", [image], kernel_shape=[3, 3], strides=[3, 3], ceil_mode=1,
     pads=[1, 1, 1, 1], count_include_pad=1, opset=19)
case("averagepool3d", "AveragePool", [real(1, 2, 4, 5, 3)], kernel_shape=[2, 3, 2], auto_pad="SAME_UPPER")
case("lppool", "LpPool", [image], kernel_shape=[2, 2], p=2)
for operator in ["GlobalAveragePool", "GlobalMaxPool", "GlobalLpPool"]:
    case(operator.lower(), operator, [image])
case("batchnorm", "BatchNormalization", [image], [real(3), real(3), real(3), real(3, low=0.1)], epsilon=1e-3)
case("instancenorm", "InstanceNormalization", [image], [real(3), real(3)])
case("layernorm", "LayerNormalization", [x], [real(3, 4), real(3, 4)], axis=1)
case("layernorm_no_bias", "LayerNormalization", [x], [real(4)])
case("groupnorm", "GroupNormalization", [real(2, 6, 3)], [real(6), real(6)], num_groups=2, opset=21)
case("lrn", "LRN", [real(2, 5, 2, 2)], size=3, alpha=0.2, beta=0.7, bias=1.5)
case("pad_constant", "Pad", [real(2, 3)], [whole(1, 0, 0, 2), np.float32(1.5)])
case("pad_reflect", "Pad", [real(2, 4)], [whole(0, 2, 0, 3)], mode="reflect")
case("pad_edge", "Pad", [real(2, 3)], [whole(1, 2, 1, 1)], mode="edge")
case("pad_cut", "Pad", [real(3, 4)], [whole(-1, 0, 1, -2)])
case("pad_axes", "Pad", [real(3, 4)], [whole(1, 2), None, whole(-1)], opset=18)
small = real(1, 2, 3, 4)
case("resize_nearest", "Resize", [small], [None, np.array([1, 1, 2, 2], dtype=np.float32)],
     coordinate_transformation_mode="asymmetric", nearest_mode="floor")
case("resize_linear", "Resize", [small], [None, None, whole(1, 2, 5, 7)], mode="linear")
case("resize_pytorch", "Resize", [small], [None, None, whole(1, 2, 1, 6)], mode="linear",
     coordinate_transformation_mode="pytorch_half_pixel")
case("resize_align", "Resize", [small], [None, None, whole(1, 2, 5, 7)], mode="linear",
     coordinate_transformation_mode="align_corners")
case("resize_down", "Resize", [real(1, 1, 6, 7)], [None, np.array([1, 1, 0.6, 0.6], dtype=np.float32)])
case("matmul_batches", "MatMul", [real(2, 1, 3, 4), real(5, 4, 2)])
case("matmul_vectors", "MatMul", [real(4), real(4)])
case("matmul_weights", "MatMul", [real(2, 3, 4)], [real(4, 5)])
case("matmul_weight_vector", "MatMul", [real(2, 3, 4)], [real(4)])
case("matmul_vector_weights", "MatMul", [real(4)], [real(4, 5)])
case("gemm_both", "Gemm", [real(4, 3), real(5, 4), real(3, 1)], transA=1, transB=1, alpha=0.5, beta=2.0)
case("gemm_weights", "Gemm", [real(4, 3)], [real(5, 4), real(5)], transA=1, transB=1, alpha=0.5, beta=2.0)
case("conv_groups", "Conv", [real(2, 4, 7, 6)], [real(6, 2, 3, 2), real(6)], group=2, strides=[2, 1],
     pads=[1, 0, 2, 1], dilations=[1, 2])
case("conv_same", "Conv", [real(1, 2, 7, 6)], [real(3, 2, 4, 3)], auto_pad="SAME_LOWER", strides=[2, 2])
case("conv_valid", "Conv", [real(1, 2, 9)], [real(3, 2, 4)], auto_pad="VALID", strides=[2])
case("conv3d", "Conv", [real(1, 4, 4, 5, 3)], [real(4, 1, 2, 3, 2), real(4)], group=4, pads=[1, 0, 1, 0, 1, 0])
case("deconv", "ConvTranspose", [real(2, 3, 4, 5)], [real(3, 2, 3, 2), real(2)], strides=[2, 3])
case("deconv_groups", "ConvTranspose", [real(1, 4, 4, 3)], [real(4, 3, 3, 3), real(6)], group=2, strides=[2, 1],
     pads=[1, 0, 0, 1], output_padding=[1, 0], dilations=[2, 1])
case("deconv_same", "ConvTranspose", [real(1, 2, 5)], [real(2, 3, 4)], strides=[2], auto_pad="SAME_UPPER")
case("deconv_shape", "ConvTranspose", [real(1, 2, 4, 4)], [real(2, 1, 3, 3)], strides=[2, 2],
     output_shape=[8, 8])
case("deconv3d", "ConvTranspose", [real(1, 2, 3, 2, 2)], [real(2, 2, 2, 3, 2)], strides=[1, 2, 2])
case("gather_nd", "GatherND", [real(2, 3, 4)], [np.array([[0, 1], [-1, 2]])])
case("gather_nd_batch", "GatherND", [real(2, 3, 4)], [np.array([[[1], [0]], [[2], [2]]])], batch_dims=1)
case("scatter_nd", "ScatterND", [real(4, 3)], [np.array([[2], [0]]), real(2, 3)])
case("scatter_elements", "ScatterElements", [real(3, 3)], [np.array([[1, 0, 2]]), real(1, 3)], axis=0)
case("one_hot", "OneHot", [whole(1, -1, 7)], [np.int64(4), np.array([0.5, 2.0], dtype=np.float32)])
case("one_hot_axis", "OneHot", [np.array([[1, 2], [0, 1]])], [np.int64(3), np.array([0, 1], dtype=np.float32)],
     axis=1)
case("topk", "TopK", [real(3, 5, 2)], [whole(3)], outputs=2, axis=1)
case("topk_smallest", "TopK", [np.array([3, 1, 2, 1], dtype=np.float32)], [whole(3)], outputs=2, largest=0)
case("cumsum", "CumSum", [real(3, 4)], [np.int64(1)])
case("cumsum_reverse", "CumSum", [real(3, 4)], [np.int64(0)], exclusive=1, reverse=1)
case("trilu", "Trilu", [real(2, 4, 3)], [np.int64(1)])
case("trilu_lower", "Trilu", [real(4, 5)], upper=0)
case("depth_to_space", "DepthToSpace", [real(1, 8, 2, 3)], blocksize=2)
case("depth_to_space_crd", "DepthToSpace", [real(1, 8, 2, 3)], blocksize=2, mode="CRD")
case("space_to_depth", "SpaceToDepth", [real(2, 2, 4, 6)], blocksize=2)
case("einsum", "Einsum", [real(2, 3, 4), real(2, 4, 5)], equation="bij,bjk->bki")
case("einsum_implicit", "Einsum", [real(3, 4), real(4)], equation="ij, j")
case("einsum_trace", "Einsum", [real(3, 3)], equation="ii->")
H, I, T, B = 3, 4, 5, 2
for operator, gates in [("RNN", 1), ("GRU", 3), ("LSTM", 4)]:
    lower = operator.lower()
    lengths = np.array([5, 3], dtype=np.int32)
    outputs = 3 if operator == "LSTM" else 2

    def weights(d):
        return [real(d, gates * H, I), real(d, gates * H, H), real(d, 2 * gates * H)]

    extra = [real(2, B, H)] + ([real(2, B, H), real(2, 3 * H)] if operator == "LSTM" else [])
    case(f"{lower}_both", operator, [real(T, B, I)], weights(2) + [lengths] + extra, outputs=outputs,
         hidden_size=H, direction="bidirectional")
    case(f"{lower}_reverse", operator, [real(T, B, I)], weights(1), outputs=outputs, hidden_size=H,
         direction="reverse", clip=0.4)
    names = {"RNN": ["Relu"], "GRU": ["HardSigmoid", "Relu"], "LSTM": ["HardSigmoid", "Softsign", "Elu"]}
    numbers = {} if operator == "RNN" else {"activation_alpha": [0.3], "activation_beta": [0.4]}
    if operator == "LSTM":
        numbers["activation_alpha"].append(0.7)
    case(f"{lower}_functions", operator, [real(T, B, I)], weights(1), outputs=outputs, hidden_size=H,
         activations=names[operator], **numbers)
case("gru_before", "GRU", [real(T, B, I)], [real(1, 9, I), real(1, 9, H), real(1, 18)], hidden_size=H,
     linear_before_reset=1)
case("lstm_forget", "LSTM", [real(T, B, I)], [real(1, 12, I), real(1, 12, H)], hidden_size=H, input_forget=1)
case("rmsnorm", "RMSNormalization", [x], [real(3, 4)], opset=23, axis=1)
for operator in ["Tan", "Asin", "Acos", "Atan", "Sinh", "Cosh"]:
    case(operator.lower(), operator, [real(6, low=-0.9, high=0.9)])
odd = real(4)
case("isnan", "IsNaN", [odd])
case("isinf", "IsInf", [odd], detect_negative=0)

(HERE / "cases.json").write_text(
    "{\n" + ",\n".join(f"{json.dumps(k)}: {json.dumps(v)}" for k, v in sorted(cases.items())) + "\n}\n"
)
print(len(cases), "cases")
