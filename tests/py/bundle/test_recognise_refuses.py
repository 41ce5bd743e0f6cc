"""Graphs that compute something else than the page does: refused by stage, role and what was found."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from bundle_numpy import make_small_checkpoint
from foreign_bundle import Graph, attributes, dense, rewrite, unfused
from onnx import NodeProto, helper, numpy_helper
from seedlike import unpack_seedlike

from kleinbild.bundle import Bundle
from kleinbild.checkpoint.checkpoint import Checkpoint
from kleinbild.errors import KleinbildError
from kleinbild.export import export_bundle


@pytest.fixture(scope="module")
def seedlike(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return unpack_seedlike(tmp_path_factory.mktemp("seedlike") / "bundle")


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("own")
    export_bundle(Checkpoint.open(make_small_checkpoint(folder / "c")), folder / "bundle", weights="q4")
    return folder / "bundle"


def nodes(g: Graph, op: str) -> list[NodeProto]:
    return [node for node in g.nodes if node.op_type == op]


def set_constant(g: Graph, name: str, change: Callable[[np.ndarray], np.ndarray]) -> None:
    """Gives the constant `name` other numbers, wherever it is stored."""
    tensor = g.constants()[name]
    array = g.array(tensor)
    assert array is not None
    replaced = numpy_helper.from_array(change(array).astype(array.dtype), tensor.name)
    tensor.CopyFrom(replaced)


def norm_with_weights(g: Graph) -> None:
    set_constant(g, nodes(g, "LayerNormalization")[3].input[1], lambda ones: ones * 2)


def other_rotary_frequencies(g: Graph) -> None:
    for name in {node.input[1] for node in nodes(g, "Einsum")}:
        set_constant(g, name, lambda omega: omega * np.linspace(1, 1.2, omega.size))


def turned_otherwise(g: Graph) -> None:
    for node in [*nodes(g, "Neg"), *nodes(g, "Sub")]:
        node.op_type = "Identity" if node.op_type == "Neg" else "Add"


def other_timesteps(g: Graph) -> None:
    name = next(name for name, t in g.constants().items() if g.array(t) == np.float16(1000) and not t.dims)
    set_constant(g, name, lambda scale: scale / 10)


def sines_first(g: Graph) -> None:
    node = nodes(g, "Concat")[0]
    assert [p.op_type for p in g.nodes if set(p.output) & set(node.input)] == ["Cos", "Sin"]
    node.input[:] = list(node.input)[::-1]


def no_gate(g: Graph) -> None:
    users = g.consumers()
    sigmoid = next(n for n in reversed(nodes(g, "Sigmoid")) if len(users[n.output[0]]) == 1)
    sigmoid.op_type = "Tanh"


def own_modulation(g: Graph) -> None:
    """The second single stream block takes the first one's shift for its scale."""
    producers, consumers = g.producers(), g.consumers()
    modulated = [
        node
        for node in nodes(g, "Add")
        if any(producers[name].op_type == "Slice" for name in node.input if name in producers)
        and any(producers[name].op_type == "Mul" for name in node.input if name in producers)
    ]
    shift_of = {name: n for n in modulated for name in n.input if producers[name].op_type == "Slice"}
    shared = next(name for name in shift_of if len(consumers[name]) > 1)
    other = next(name for name in shift_of if name != shared)
    consumers[shared][-1].input[:] = [other if n == shared else n for n in consumers[shared][-1].input]


def scores_of_another_scale(g: Graph) -> None:
    softmax = nodes(g, "Softmax")[0]
    doubled, two = g.fresh(), g.store(np.array(2, np.float32))
    g.nodes.append(helper.make_node("Mul", [softmax.input[0], two], [doubled]))
    softmax.input[0] = doubled


def a_bias(g: Graph) -> None:
    linear = nodes(g, "MatMulNBits")[-1]
    bias = g.store(np.ones(attributes(linear)["N"], np.float16))
    output, linear.output[0] = linear.output[0], "without_bias"
    g.nodes.append(helper.make_node("Add", ["without_bias", bias], [output]))


def unknown_operator(g: Graph) -> None:
    nodes(g, "Softmax")[0].op_type = "Entmax"


def patches_by_rows(g: Graph) -> None:
    node = nodes(g, "Transpose")[0]
    assert attributes(node)["perm"] == [0, 1, 4, 2, 5, 3]
    node.attribute[0].ints[:] = [0, 1, 4, 3, 5, 2]


def no_batch_norm(g: Graph) -> None:
    add = next(node for node in nodes(g, "Add") if g.constants().get(node.input[1]) is not None)
    add.op_type = "Max"


def taps_out_of_order(g: Graph) -> None:
    node = nodes(g, "Concat")[-1]
    node.input[:] = [node.input[1], node.input[0], node.input[2]]


def interpolated(g: Graph) -> None:
    mode = next(a for a in nodes(g, "Resize")[0].attribute if a.name == "mode")
    mode.s = b"linear"


SEEDLIKE: dict[Callable[[Graph], None], tuple[str, str]] = {
    norm_with_weights: ("transformer", r"transformer: cannot find .*: expected a layer norm without weights"),
    other_rotary_frequencies: (
        "transformer",
        r"cannot find the rotary embedding: expected frequencies theta\^\(-2i/d\) of one theta, found 1, ",
    ),
    turned_otherwise: (
        "transformer",
        "the rotary embedding: expected the rotation of the channels that the page turns, found another one",
    ),
    other_timesteps: ("transformer", "counts 100 timesteps; only 1000 is implemented"),
    sines_first: (
        "transformer",
        "timestep_embedder.linear_1: expected cosines, then sines of the same angles",
    ),
    no_gate: ("transformer", r"the MLP of the last single block: expected silu\(gate\) up"),
    own_modulation: (
        "transformer",
        "single_stream_modulation of the single block 1 before the last: expected the same modulation",
    ),
    scores_of_another_scale: ("transformer", "expected scores scaled by 0.176777, found a scale of 0.353553"),
    a_bias: (
        "transformer",
        r"transformer: cannot find proj_out: expected a linear, found add \[1, 16, 128\]",
    ),
    unknown_operator: (
        "transformer",
        "on the way there: 'Entmax' .* an operator 'Entmax' that is not understood",
    ),
    patches_by_rows: (
        "vae_decoder_pre",
        "bn.scale and bn.mean: expected 2x2 patches spread over their pixels",
    ),
    no_batch_norm: ("vae_decoder_pre", "vae_decoder: cannot find bn.scale and bn.mean: expected the latents"),
    interpolated: (
        "vae_decoder_post_stage0",
        "not understood on the way there: 'Resize' .* that interpolates",
    ),
}


@pytest.mark.parametrize("change", SEEDLIKE, ids=lambda change: change.__name__)
def test_another_exporters_bundle(seedlike: Path, change: Callable[[Graph], None], tmp_path: Path) -> None:
    key, message = SEEDLIKE[change]
    changed = rewrite(seedlike, tmp_path / "bundle", [change], keys=key)
    with pytest.raises(KleinbildError, match=message):
        Bundle.open(changed)


def test_taps_out_of_order(own: Path, tmp_path: Path) -> None:
    changed = rewrite(own, tmp_path / "bundle", [taps_out_of_order], keys="text_encoder")
    message = (
        r"text_encoder: cannot find the tapped layers: expected layers in ascending order, found .*2, 1, 3"
    )
    with pytest.raises(KleinbildError, match=message):
        Bundle.open(changed)


def test_another_rotation_of_text(own: Path, tmp_path: Path) -> None:
    changed = rewrite(own, tmp_path / "bundle", [turned_otherwise], keys="text_encoder")
    message = "text_encoder: cannot find the rotary embedding of the last layer.* found another one"
    with pytest.raises(KleinbildError, match=message):
        Bundle.open(changed)


def test_rows_of_one_tensor_have_one_form(own: Path, tmp_path: Path) -> None:
    changed = rewrite(own, tmp_path / "bundle", [unfused, dense], keys="transformer")
    message = (
        "rows are stored as 4 bits in blocks of 16 with zero points and dense numbers; one tensor has one"
    )
    with pytest.raises(KleinbildError, match=message):
        Bundle.open(changed)
