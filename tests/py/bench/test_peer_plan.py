"""What the peer benchmark measures, and how its results become a table."""

from __future__ import annotations

from pathlib import Path

import pytest
from onnx import TensorProto
from peer_folder import GraphFolder
from peer_plan import Plan, make_plan, step_flops
from peer_shapes import full_shapes, quick_shapes
from peer_table import Outcome, best_rows, render, table_rows

from kleinbild.canonical import expected_tensors


@pytest.fixture(scope="module")
def plan() -> Plan:
    return make_plan(full_shapes(), "float16")


def test_every_row_has_both_engines_at_its_shapes(plan: Plan) -> None:
    labels = [row.label for row in plan.rows]
    assert len(set(labels)) == len(labels)
    for row in plan.rows:
        assert (row.ort.engine, row.own.engine) == ("ort", "own")
        tokens = row.ort.spec["inputs"][0]["dims"][1]
        spec = row.own.spec
        assert tokens == (spec["height"] * spec["width"] if spec["kind"] == "step" else spec["rows"])
    assert len({job.id for job in plan.jobs}) == len(plan.jobs)
    # One measurement of ours serves every format of ONNX Runtime that stores the same numbers.
    assert sum(job.engine == "own" for job in plan.jobs) < sum(job.engine == "ort" for job in plan.jobs)


def test_the_shapes_of_the_4b_model(plan: Plan) -> None:
    labels = " ".join(row.label for row in plan.rows)
    for text in ("3072>9216>3072", "3072>27648 M=4608", "24x128 S=1536", "step 512x512", "step 1024x1024"):
        assert text in labels


def test_every_job_of_onnx_runtime_has_a_graph(plan: Plan, tmp_path: Path) -> None:
    folder = GraphFolder(tmp_path, full_shapes(), TensorProto.FLOAT16)
    assert {job.spec["graph"] for job in plan.jobs if job.engine == "ort"} == folder.names


def test_a_graph_is_written_once(tmp_path: Path) -> None:
    folder = GraphFolder(tmp_path, quick_shapes(), TensorProto.FLOAT)
    graph = folder.graph("ff-b16z-a4")
    written = (tmp_path / graph.file).stat().st_mtime_ns
    assert folder.graph("ff-b16z-a4") == graph
    assert (tmp_path / graph.file).stat().st_mtime_ns == written
    with pytest.raises(KeyError):
        folder.graph("other")


def test_a_step_counts_the_blocks_linears_and_attention() -> None:
    shapes = full_shapes()
    weights = sum(
        spec.shape[0] * spec.shape[1]
        for name, spec in expected_tensors(shapes.model)["transformer"].items()
        # Of a double block's two sets of linears each token takes one.
        if spec.kind == "linear" and "blocks." in name and "add_" not in name and "ff_context" not in name
    )
    tokens = 1536
    attention = 25 * 4 * tokens * tokens * 3072
    assert step_flops(shapes, tokens) == 2 * tokens * weights + attention


def test_only_keeps_the_rows_asked_for(plan: Plan) -> None:
    steps = plan.only(lambda label: label.startswith("step 512"))
    assert [row.label for row in steps.rows] == ["step 512x512", "step 512x512, ours b32"]
    assert [job.engine for job in steps.jobs] == ["ort", "own", "own"]


def test_a_failed_job_costs_its_own_rows_only(plan: Plan) -> None:
    steps = plan.only(lambda label: label.startswith("step 512"))
    ort, seed, b32 = (job.id for job in steps.jobs)
    outcomes = {
        (ort, "plain"): Outcome((3000.0, 2000.0)),
        (seed, "plain"): Outcome(error="the device was lost"),
        (b32, "plain"): Outcome((250.0, 270.0)),
        (b32, "matrix"): Outcome((125.0,)),
    }
    failed, good, unfinished, half = table_rows(steps, outcomes, ["plain", "matrix"])
    assert failed["ratio"] is None and failed["own_error"] == "the device was lost"
    assert good["ratio"] == 0.125
    assert good["own_tflops"] == pytest.approx(steps.rows[0].flops / 0.25 / 1e12)
    assert unfinished["ort_error"] == unfinished["own_error"] != ""
    assert half["own_ms"] == 125 and half["ratio"] is None
    text = render([failed, good, unfinished, half])
    assert "ours: the device was lost" in text
    (line,) = [line for line in text.splitlines() if "250.00" in line]
    assert line.split()[-2:] == ["0.125", "8.0x"]


def test_the_best_of_each_engine_meet(plan: Plan) -> None:
    products = plan.only(lambda label: "3072>27648 M=768" in label)
    ms = {"ort joint-b16z-a4": 40.0, "ort joint-b32-a4": 5.0, "ort joint-b32-a0": 8.0, "own joint b16z": 4.0}
    outcomes = {(f"{job} M=768", "plain"): Outcome((value,)) for job, value in ms.items()}
    (best,) = best_rows(table_rows(products, outcomes, ["plain"]))
    assert (best["own_ms"], best["ort_ms"], best["ratio"]) == (4.0, 5.0, 0.8)
