"""A whole weight in 4 bits: ONNX Runtime's MatMulNBits reads it, whatever the chunks and threads were."""

from __future__ import annotations

import importlib

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper
from quantise_oracle import heavy_tailed

from kleinbild.errors import KleinbildError
from kleinbild.quantise import quantise, quantise_measured
from kleinbild.weights import BLOCK_SIZES, dequantise

SYMMETRIC = pytest.mark.parametrize("symmetric", [True, False], ids=["symmetric", "asymmetric"])
BLOCK_SIZE = pytest.mark.parametrize("block_size", BLOCK_SIZES)


@SYMMETRIC
@BLOCK_SIZE
@pytest.mark.parametrize("columns", [256, 72])
def test_values_on_the_grid_come_back_exactly(block_size: int, symmetric: bool, columns: int) -> None:
    random = np.random.default_rng(1)
    rows, blocks = 16, -(-columns // block_size)
    codes = random.integers(0, 16, (rows, blocks, block_size))
    codes[:, :, 0], codes[:, :, 1] = 0, 15  # both ends are used, so the rule finds this very grid
    zeros = np.full((rows, blocks), 8) if symmetric else random.integers(0, 16, (rows, blocks))
    scales = (2.0 ** random.integers(-12, 2, (rows, blocks))).astype(np.float32)
    if symmetric:
        scales *= random.choice(np.array([-1, 1], np.float32), scales.shape)
    values = (codes - zeros[:, :, None]).astype(np.float32) * scales[:, :, None]
    weight = np.ascontiguousarray(values.reshape(rows, -1)[:, :columns])
    np.testing.assert_array_equal(dequantise(quantise(weight, block_size, symmetric)), weight)


def test_packing_order() -> None:
    weight = np.zeros((1, 40), np.float32)
    weight[0, :16] = np.arange(-8, 8)
    q4 = quantise(weight, 16, symmetric=True)
    assert q4.codes.shape == (1, 3, 8)
    assert q4.codes[0, 0].tolist() == [0x10, 0x32, 0x54, 0x76, 0x98, 0xBA, 0xDC, 0xFE]
    assert q4.codes[0, 1].tolist() == [0x88] * 8
    assert q4.codes[0, 2].tolist() == [0x88] * 8  # past the end of K too
    assert q4.scales.tolist() == [[1, 0, 0]]
    weight = np.zeros((1, 40), np.float32)
    weight[0, :16] = np.arange(-3, 13)
    weight[0, 16:32] = -np.arange(16)
    weight[0, 32:] = np.arange(8) * 15
    q4 = quantise(weight, 16, symmetric=False)
    assert q4.zero_points is not None
    assert q4.zero_points.tolist() == [[0xF3, 0x80]]
    assert q4.scales.tolist() == [[1, 1, 7.5]]  # 15 is two steps


@SYMMETRIC
def test_blocks_of_zeros(symmetric: bool) -> None:
    q4 = quantise(np.zeros((3, 80), np.float32), 32, symmetric)
    np.testing.assert_array_equal(dequantise(q4), np.zeros((3, 80)))
    assert not np.signbit(q4.scales).any()


@SYMMETRIC
@pytest.mark.parametrize("magnitude", [1e-44, 1e-9, 1e-6, 1e-3, 1e4])
def test_any_magnitude_stays_within_a_step(symmetric: bool, magnitude: float) -> None:
    weight = np.random.default_rng(2).uniform(-magnitude, magnitude, (8, 64)).astype(np.float32)
    q4 = quantise(weight, 16, symmetric)
    # One step is lost at the end that the rule cuts off; float16 below 2^-14 moves a scale by up to 2^-25.
    bound = 1.01 * np.abs(q4.scales.astype(np.float64)) + 15 * 2.0**-25
    errors = np.abs(dequantise(q4).astype(np.float64) - weight).reshape(8, 4, 16)
    assert (errors <= bound[:, :, None]).all()


@SYMMETRIC
@pytest.mark.parametrize(("rows", "columns", "block_size"), [(37, 100, 16), (23, 512, 128)])
def test_threads_and_chunks_do_not_show(
    rows: int, columns: int, block_size: int, symmetric: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    weight = heavy_tailed(rows, columns)
    whole = quantise_measured(weight, block_size, symmetric, threads=1)
    module = importlib.import_module("kleinbild.quantise.quantise")
    monkeypatch.setattr(module, "TASK_ELEMENTS", 1000)
    monkeypatch.setattr(module, "CHUNK_ELEMENTS", 300)
    measures = set()
    for threads in (1, 2, 5):
        parts = quantise_measured(weight, block_size, symmetric, threads)
        measures.add((parts.squared_error, parts.squared_norm))
        np.testing.assert_array_equal(parts.weight.codes, whole.weight.codes)
        np.testing.assert_array_equal(parts.weight.scales, whole.weight.scales)
        if not symmetric:
            np.testing.assert_array_equal(parts.weight.zero_points, whole.weight.zero_points)
    assert len(measures) == 1
    assert measures.pop() == pytest.approx((whole.squared_error, whole.squared_norm))


@SYMMETRIC
@pytest.mark.parametrize("shape", [(1, 16), (3, 32), (2, 40)])
def test_the_weight_stays_as_it_was(shape: tuple[int, int], symmetric: bool) -> None:
    weight = heavy_tailed(*shape)
    before = weight.copy()
    quantise(weight, 16, symmetric)
    np.testing.assert_array_equal(weight, before)


@SYMMETRIC
def test_a_scale_beyond_float16_is_refused(symmetric: bool) -> None:
    with pytest.raises(KleinbildError, match=r"float16 cannot hold; export with --weights f32"):
        quantise(np.full((1, 16), 3e38, np.float32) * np.array([1, -1] * 8, np.float32), 16, symmetric)


@pytest.mark.parametrize(("shape", "block_size"), [((16,), 16), ((4, 16), 8), ((0, 16), 16), ((4, 0), 16)])
def test_bad_arguments(shape: tuple[int, ...], block_size: int) -> None:
    with pytest.raises(ValueError, match="cannot quantise"):
        quantise(np.zeros(shape, np.float32), block_size, True)


@SYMMETRIC
@BLOCK_SIZE
@pytest.mark.parametrize("columns", [256, 96, 40])
def test_onnxruntime_multiplies_what_dequantise_says(block_size: int, symmetric: bool, columns: int) -> None:
    rows = 24
    q4 = quantise(heavy_tailed(rows, columns), block_size, symmetric)
    initializers = [
        numpy_helper.from_array(q4.codes, "B"),
        numpy_helper.from_array(q4.scales.astype(np.float32).reshape(-1), "scales"),
    ]
    if q4.zero_points is not None:
        initializers.append(numpy_helper.from_array(q4.zero_points.reshape(-1), "zero_points"))
    node = helper.make_node(
        "MatMulNBits",
        ["x", *(i.name for i in initializers)],
        ["y"],
        domain="com.microsoft",
        K=columns,
        N=rows,
        bits=4,
        block_size=block_size,
        accuracy_level=0,
    )
    graph = helper.make_graph(
        [node],
        "matmul",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [5, columns])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [5, rows])],
        initializers,
    )
    opsets = [helper.make_opsetid("", 21), helper.make_opsetid("com.microsoft", 1)]
    model: onnx.ModelProto = helper.make_model(graph, opset_imports=opsets, ir_version=10)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    x = np.random.default_rng(3).standard_normal((5, columns)).astype(np.float32)
    expected = x.astype(np.float64) @ dequantise(q4).astype(np.float64).T
    # float32 sums of at most 256 products, in another order
    np.testing.assert_allclose(session.run(None, {"x": x})[0], expected, rtol=1e-4, atol=1e-4)
