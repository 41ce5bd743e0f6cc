"""The packing benchmark: it packages a whole site from made-up weights, and says what it measured."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import packing
import pytest
from packing_source import DISTRIBUTIONS, PackingSource, random_weights

from kleinbild.canonical import expected_tensors
from kleinbild.config import config_from_json
from kleinbild.weights import Q4, dequantise


@pytest.mark.parametrize(("block_size", "zero_points"), [(32, False), (16, True)])
def test_the_small_model_is_packaged_and_whole(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    block_size: int,
    zero_points: bool,
) -> None:
    monkeypatch.setattr(packing, "PARTS_SECONDS", 0.01)
    arguments = ["--model", "small", "--folder", str(tmp_path), "--block-size", str(block_size)]
    arguments += ["--zero-points"] if zero_points else []
    assert packing.main([*arguments, "--json", str(tmp_path / "result.json")]) == 0
    text = capsys.readouterr().out
    assert "bytes to first picture: " in text
    result = json.loads((tmp_path / "result.json").read_text())
    assert result["bundle_bytes"] > 0
    assert result["mb_per_second"] > 0
    assert set(result["parts_mb_per_second"]) == {"lay out", "sha256", "gzip", "plain copy"}
    assert [path.name for path in tmp_path.iterdir()] == ["result.json"]


@pytest.mark.parametrize("distribution", DISTRIBUTIONS)
def test_weights_are_published_ones_in_type_and_size(distribution: str) -> None:
    values = random_weights(distribution)
    assert not (values.view(np.uint32) & 0xFFFF).any(), "more bits than bfloat16 has"
    assert 0.01 < values.std() < 0.04
    assert abs(float(values.mean())) < 1e-3


def test_every_tensor_has_its_shape_and_its_own_values() -> None:
    config = config_from_json(json.loads((packing.MODELS / "small.json").read_text()))
    source = PackingSource(config, packing.TOKENIZER, "gauss", 16, False)
    seen = set()
    for stage, specs in expected_tensors(config).items():
        for name, spec in specs.items():
            weight = source.tensor(stage, name)
            assert weight.shape == spec.shape
            values = dequantise(weight) if isinstance(weight, Q4) else weight.array
            assert np.isfinite(values).all()
            seen.add(values.tobytes())
    assert len(seen) == sum(len(specs) for specs in expected_tensors(config).values())
