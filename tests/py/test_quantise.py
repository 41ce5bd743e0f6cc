"""The 4-bit quantiser, held against ONNX Runtime's own: its quantiser for the grid, its MatMulNBits for
the layout.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.capi._pybind_state import quantize_matmul_4bits

from kleinbild import quantise as quantise_module
from kleinbild.errors import KleinbildError
from kleinbild.quantise import quantise
from kleinbild.weights import BLOCK_SIZES, Q4, dequantise

Float32 = npt.NDArray[np.float32]

SYMMETRIC = pytest.mark.parametrize("symmetric", [True, False], ids=["symmetric", "asymmetric"])
BLOCK_SIZE = pytest.mark.parametrize("block_size", BLOCK_SIZES)


def heavy_tailed(rows: int, columns: int, seed: int = 0) -> Float32:
    """Weights with outliers (Student t, 4 degrees of freedom)."""
    return np.random.default_rng(seed).standard_t(4, (rows, columns)).astype(np.float32)


def onnxruntime_q4(weight: Float32, block_size: int, symmetric: bool, scale_type: type) -> Q4:
    """`weight` by ONNX Runtime's quantiser, its float32 scales then rounded to `scale_type`."""
    rows, columns = weight.shape
    blocks = -(-columns // block_size)
    codes = np.zeros((rows, blocks, block_size // 2), np.uint8)
    scales = np.zeros(rows * blocks, np.float32)
    zeros = np.zeros(rows * ((blocks + 1) // 2), np.uint8)
    transposed = np.ascontiguousarray(weight.T)
    quantize_matmul_4bits(codes, transposed, scales, zeros, block_size, rows, columns, symmetric)
    zero_points = None if symmetric else zeros.reshape(rows, -1)
    return Q4(
        (rows, columns), block_size, codes, scales.reshape(rows, blocks).astype(scale_type), zero_points
    )


def block_errors(weight: Float32, q4: Q4) -> npt.NDArray[np.float64]:
    """Squared error of each block [rows, blocks]."""
    errors = np.zeros((q4.shape[0], q4.codes.shape[1] * q4.block_size))
    errors[:, : q4.shape[1]] = (dequantise(q4).astype(np.float64) - weight) ** 2
    blocked: npt.NDArray[np.float64] = errors.reshape(q4.shape[0], -1, q4.block_size).sum(-1)
    return blocked


@SYMMETRIC
@BLOCK_SIZE
@pytest.mark.parametrize("columns", [128, 256, 200, 24])
def test_the_grid_is_onnxruntimes(block_size: int, symmetric: bool, columns: int) -> None:
    weight = heavy_tailed(24, columns)
    ours = quantise(weight, block_size, symmetric)
    theirs = onnxruntime_q4(weight, block_size, symmetric, np.float16)
    np.testing.assert_array_equal(ours.scales, theirs.scales)
    if symmetric:
        assert ours.zero_points is None
    else:
        np.testing.assert_array_equal(ours.zero_points, theirs.zero_points)


@SYMMETRIC
@BLOCK_SIZE
def test_where_float16_holds_the_scale_every_code_is_onnxruntimes(block_size: int, symmetric: bool) -> None:
    random = np.random.default_rng(4)
    rows, blocks = 24, 512 // block_size
    scales = (random.integers(64, 128, (rows, blocks, 1)) * 2.0**-12).astype(np.float32)  # 7 bits: exact
    weight = random.uniform(-8, 7, (rows, blocks, block_size)).astype(np.float32) * scales
    weight[:, :, :1], weight[:, :, 1:2] = -8 * scales, 7 * scales
    weight = weight.reshape(rows, -1)
    ours = quantise(weight, block_size, symmetric)
    np.testing.assert_array_equal(ours.scales.reshape(-1), scales.reshape(-1))
    np.testing.assert_array_equal(ours.codes, onnxruntime_q4(weight, block_size, symmetric, np.float16).codes)


@SYMMETRIC
@BLOCK_SIZE
def test_no_block_is_worse_than_by_onnxruntimes_codes(block_size: int, symmetric: bool) -> None:
    weight = heavy_tailed(64, 512, seed=block_size)
    ours = block_errors(weight, quantise(weight, block_size, symmetric))
    theirs = block_errors(weight, onnxruntime_q4(weight, block_size, symmetric, np.float16))
    assert (ours <= theirs * (1 + 1e-6)).all()
    assert (ours < theirs).any()


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


def test_codes_are_the_nearest_under_the_stored_scale() -> None:
    weight = heavy_tailed(32, 128)
    q4 = quantise(weight, 32, symmetric=False)
    scales = np.repeat(q4.scales.astype(np.float64), 32, axis=1)
    assert q4.zero_points is not None
    zeros = np.stack([q4.zero_points & 15, q4.zero_points >> 4], -1).reshape(32, -1)[:, :4]
    grid = (np.arange(16)[:, None, None] - np.repeat(zeros.astype(np.float64), 32, axis=1)) * scales
    best = np.abs(grid - weight).min(0)
    np.testing.assert_allclose(np.abs(dequantise(q4) - weight), best, rtol=0, atol=1e-6)


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
    assert q4.scales.tolist() == [[1, 1, 7]]


@SYMMETRIC
def test_opposite_extremes_of_one_size(symmetric: bool) -> None:
    weight = np.array([[1, -1, 0.5, 0] * 4, [-1, 1, -0.5, 0] * 4], np.float32)
    ours = quantise(weight, 16, symmetric)
    np.testing.assert_array_equal(ours.scales, onnxruntime_q4(weight, 16, symmetric, np.float16).scales)
    if symmetric:
        assert ours.scales.tolist() == [[0.125], [0.125]]  # the negative one is kept exactly


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
def test_rows_are_independent_of_the_chunks(symmetric: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    weight = heavy_tailed(37, 100)
    whole = quantise(weight, 16, symmetric)
    monkeypatch.setattr(quantise_module, "CHUNK_ELEMENTS", 1000)
    chunked = quantise(weight, 16, symmetric)
    np.testing.assert_array_equal(chunked.codes, whole.codes)
    np.testing.assert_array_equal(chunked.scales, whole.scales)
    if not symmetric:
        np.testing.assert_array_equal(chunked.zero_points, whole.zero_points)


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
