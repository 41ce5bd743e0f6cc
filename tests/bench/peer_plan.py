"""What is measured: jobs for either engine, and the rows of the table that set one job beside another.

A job says all that the page needs to run it, as JSON. Both engines get the same shapes, random inputs, and
for matrix products the same weight format; FLOPs count matrix products and attention, the same for both.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import pairwise
from typing import Any, Literal

import numpy as np
from peer_graphs import SEED_FORMAT, Format
from peer_shapes import PIXELS_PER_TOKEN, Shapes

from kleinbild.config import ModelConfig, config_to_json

Engine = Literal["ort", "own"]
Spec = dict[str, Any]

FORMATS = (
    SEED_FORMAT,
    Format(32, symmetric=True, accuracy_level=4),
    Format(32, symmetric=True, accuracy_level=0),
)
SIGMA = 0.75


@dataclass(frozen=True)
class Job:
    """One thing that one engine runs; `spec` is what tests/bench/page/<engine>_side.js reads."""

    id: str
    engine: Engine
    spec: Spec


@dataclass(frozen=True)
class Row:
    """One line of the table: ONNX Runtime's job against ours; rows of one group do the same work."""

    label: str
    group: str
    flops: float
    ort: Job
    own: Job


@dataclass(frozen=True)
class Plan:
    """The table's rows, and the model that our engine chooses its kernels for."""

    model: ModelConfig
    rows: tuple[Row, ...]

    @property
    def jobs(self) -> list[Job]:
        """Every job that a row needs, once, in running order."""
        return list({job.id: job for row in self.rows for job in (row.ort, row.own)}.values())

    def only(self, wanted: Callable[[str], bool]) -> Plan:
        """The rows whose label is wanted."""
        return replace(self, rows=tuple(row for row in self.rows if wanted(row.label)))

    def to_json(self) -> dict[str, Any]:
        """What the page needs."""
        formats = list(dict.fromkeys((form.block_size, form.symmetric) for form in FORMATS))
        return {
            "jobs": [asdict(job) for job in self.jobs],
            "model": {
                "config": config_to_json(self.model),
                "formats": [{"blockSize": size, "zeroPoints": not symmetric} for size, symmetric in formats],
            },
        }


def make_plan(shapes: Shapes, float_type: str) -> Plan:
    """Every comparison at `shapes`; `float_type`, "float16" or "float32", is that of the activations."""
    rows = (
        *_products(shapes, float_type),
        *_attentions(shapes, float_type),
        *_steps(shapes, float_type),
    )
    return Plan(shapes.model, rows)


def chain_widths(shapes: Shapes) -> dict[str, tuple[int, ...]]:
    """Linears measured in a row, by name: feed-forward there and back twice, a single block's first one."""
    c = shapes.transformer
    hidden, mlp = c.hidden_size, c.mlp_hidden_size
    return {"ff": (hidden, mlp, hidden, mlp, hidden), "joint": (hidden, 3 * hidden + 2 * mlp)}


def step_flops(shapes: Shapes, tokens: int) -> float:
    """Matrix products and attention of the blocks on `tokens` text and picture tokens."""
    c = shapes.transformer
    linear = c.hidden_size * (4 * c.hidden_size + 3 * c.mlp_hidden_size)
    return 2.0 * (c.num_layers + c.num_single_layers) * tokens * (linear + 2 * tokens * c.hidden_size)


def _products(shapes: Shapes, float_type: str) -> Iterator[Row]:
    for name, widths in chain_widths(shapes).items():
        for form in FORMATS:
            graph = f"{name}-{form.label}"
            for rows in shapes.rows:
                yield Row(
                    label=f"q4 {form.label} {_arrows(widths)} M={rows}",
                    group=f"q4 {_arrows(widths)} M={rows}",
                    flops=2.0 * rows * sum(k * n for k, n in pairwise(widths)),
                    ort=_ort_job(f"{graph} M={rows}", graph, _random("x", float_type, [1, rows, widths[0]])),
                    own=_own_job(
                        f"{name} {_own_label(form)} M={rows}",
                        kind="chain",
                        rows=rows,
                        widths=widths,
                        format=_own_format(form),
                    ),
                )


def _arrows(widths: Sequence[int]) -> str:
    return ">".join(map(str, widths))


def _attentions(shapes: Shapes, float_type: str) -> Iterator[Row]:
    c = shapes.transformer
    for rows in shapes.rows:
        work = f"attention {c.num_attention_heads}x{c.attention_head_dim} S={rows}"
        for kind in ("fused", "unfused"):
            inputs = [_random(part, float_type, [1, rows, c.hidden_size]) for part in "qkv"]
            yield Row(
                label=f"{kind} {work}",
                group=work,
                flops=4.0 * rows * rows * c.hidden_size,
                ort=_ort_job(f"attention {kind} S={rows}", f"attention-{kind}", *inputs),
                own=_own_job(f"attention S={rows}", kind="attention", rows=rows),
            )


def _steps(shapes: Shapes, float_type: str) -> Iterator[Row]:
    c, text = shapes.transformer, shapes.model.prompt.text_seq_len
    for size in shapes.pictures:
        side = size // PIXELS_PER_TOKEN
        work = f"step {size}x{size}"
        inputs = [
            _random("x", float_type, [1, side * side, c.in_channels]),
            _given("x_ids", "float32", [1, side * side, 4], _picture_ids(side)),
            _given("timesteps", float_type, [1], [SIGMA]),
            _random("ctx", float_type, [1, text, c.joint_attention_dim]),
            _given("ctx_ids", "float32", [1, text, 4], [(0, 0, 0, i) for i in range(text)]),
        ]
        for form in dict.fromkeys(
            replace(form, accuracy_level=SEED_FORMAT.accuracy_level) for form in FORMATS
        ):
            yield Row(
                label=work if form == SEED_FORMAT else f"{work}, ours {_own_label(form)}",
                group=work,
                flops=step_flops(shapes, text + side * side),
                ort=_ort_job(work, "step", *inputs),
                own=_own_job(
                    f"{work} {_own_label(form)}",
                    kind="step",
                    height=side,
                    width=side,
                    sigma=SIGMA,
                    format=_own_format(form),
                ),
            )


def _picture_ids(side: int) -> list[tuple[int, int, int, int]]:
    return [(0, row, column, 0) for row in range(side) for column in range(side)]


def _ort_job(name: str, graph: str, *inputs: Spec) -> Job:
    return Job(f"ort {name}", "ort", {"graph": graph, "inputs": list(inputs)})


def _own_job(name: str, **spec: Any) -> Job:
    return Job(f"own {name}", "own", spec)


def _own_label(form: Format) -> str:
    return f"b{form.block_size}{'' if form.symmetric else 'z'}"


def _own_format(form: Format) -> Spec:
    """What our kernels know of a format: they have no accuracy levels."""
    return {"blockSize": form.block_size, "zeroPoints": not form.symmetric}


def _random(name: str, float_type: str, shape: Sequence[int]) -> Spec:
    return {"name": name, "type": float_type, "dims": list(shape), "bits": None}


def _given(name: str, float_type: str, shape: Sequence[int], values: Any) -> Spec:
    """`values` as the unsigned integers that have their bits, so that the page need not know float16."""
    bits = np.asarray(values, float_type).view("uint16" if float_type == "float16" else "uint32")
    return {"name": name, "type": float_type, "dims": list(shape), "bits": bits.ravel().tolist()}
