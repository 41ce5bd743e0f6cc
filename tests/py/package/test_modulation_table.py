"""The modulation table against the reference, and against plain loops for quantised weights."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import klein_numpy
import numpy as np
import pytest

from kleinbild.canonical import MODULATION, modulation_columns
from kleinbild.checkpoint.checkpoint import Checkpoint
from kleinbild.package import modulation_table as module
from kleinbild.package.modulation_table import modulation_table, timestep_embedding
from kleinbild.package.schedule import table_sigmas
from kleinbild.quantise import quantise
from kleinbild.weights import Q4, Dense, FloatArray, Weight, dequantise

PROJECT = Path(__file__).resolve().parents[3]
GOLDEN = PROJECT / "tests" / "golden" / "tiny-hd32"


@pytest.fixture(scope="module")
def checkpoint() -> Checkpoint:
    return Checkpoint.open(GOLDEN)


def largest_error(found: FloatArray, expected: FloatArray) -> float:
    assert found.shape == expected.shape
    return float(np.abs(found - expected.astype(np.float64)).max() / np.abs(expected).max())


def test_rows_are_the_modulation_of_the_reference(
    checkpoint: Checkpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The reference in float64, with the page's timestep embedding.

    Its own takes numpy's float32 exp, whose last bit, times angles up to 1000, is 1e-5 of a row.
    """
    channels = checkpoint.config.transformer.timestep_channels
    monkeypatch.setattr(klein_numpy, "DT", np.float64)
    own = klein_numpy.timestep_embedding

    def embedding(t1000: np.float32) -> FloatArray:
        values = timestep_embedding(float(t1000 / np.float32(1000)), channels)
        np.testing.assert_allclose(values, own(t1000), rtol=0, atol=1e-4)
        return values.astype(np.float64)

    monkeypatch.setattr(klein_numpy, "timestep_embedding", embedding)
    _, weights = klein_numpy.load(str(GOLDEN))["tr"]
    config = checkpoint.config
    sigmas = table_sigmas(config)
    table = modulation_table(
        sigmas,
        channels,
        lambda name: Dense(checkpoint.tensor("transformer", name)),
    )
    assert table.dtype == np.float32
    assert table.shape == (len(sigmas), modulation_columns(config.transformer))
    for sigma, row in zip(sigmas, table, strict=True):
        timestep = np.float32(np.float32(sigma) * np.float32(1000)) / np.float32(1000)
        vectors = klein_numpy.modulation(weights, timestep)
        expected = np.concatenate([vectors[name.removesuffix(".linear.weight")] for name in MODULATION])
        assert expected.dtype == np.float64
        assert largest_error(row, expected) < 1e-6


@pytest.mark.parametrize(("block", "symmetric"), [(16, False), (32, True)])
def test_quantised_weights_count_as_they_are_stored(
    checkpoint: Checkpoint, monkeypatch: pytest.MonkeyPatch, block: int, symmetric: bool
) -> None:
    """Some rows of a weight at a time; scales that come as float32 count as the float16 that is stored."""
    monkeypatch.setattr(module, "_CHUNK_ELEMENTS", 200)

    def quantised(name: str) -> Q4:
        exact = quantise(checkpoint.tensor("transformer", name), block, symmetric)
        scales = exact.scales.astype(np.float32) * np.float32(1 + 1e-5)
        return Q4(exact.shape, block, exact.codes, scales, exact.zero_points)

    def stored(name: str) -> Weight:
        weight = quantised(name)
        half = Q4(weight.shape, block, weight.codes, weight.scales.astype(np.float16), weight.zero_points)
        return Dense(dequantise(half))

    channels = checkpoint.config.transformer.timestep_channels
    np.testing.assert_allclose(
        modulation_table([1.0, 0.7], channels, quantised),
        modulation_table([1.0, 0.7], channels, stored),
        rtol=2e-7,
        atol=1e-9,
    )


def test_the_timestep_embedding_is_that_of_the_page() -> None:
    script = """
        import { timestepEmbedding } from "./src_js/pipeline/timestep.js";
        const [sigmas, channels] = JSON.parse(process.argv[1]);
        console.log(JSON.stringify(sigmas.map((sigma) => [...timestepEmbedding(sigma, channels)])));
    """
    sigmas = np.linspace(0.01, 1, 40).astype(np.float32).tolist()
    run = subprocess.run(
        ["node", "--input-type=module", "-e", script, json.dumps([sigmas, 256])],
        check=True,
        cwd=PROJECT,
        capture_output=True,
        text=True,
    )
    for sigma, row in zip(sigmas, json.loads(run.stdout), strict=True):
        found = timestep_embedding(sigma, 256)
        assert found.dtype == np.float32
        # exp, cos and sin of two libraries may round a bit apart before they are rounded to float32
        np.testing.assert_allclose(found, np.array(row, np.float32), rtol=0, atol=1.2e-7)
        assert (found == np.array(row, np.float32)).mean() > 0.99


def test_no_value_is_too_large_for_silu() -> None:
    def weight(name: str) -> Weight:
        rows = MODULATION.get(name, 1) * 2
        return Dense(np.full((rows, 4 if "linear_1" in name else rows if "linear_2" in name else 2), -1e4))

    table = modulation_table([1.0], 4, weight)
    assert np.isfinite(table).all()
