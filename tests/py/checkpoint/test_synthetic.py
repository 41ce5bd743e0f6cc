"""Made-up checkpoints: the true shapes of FLUX.2 Klein 4B, written in blocks, the same every time."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from checkpoint_factory import make_checkpoint

from kleinbild.checkpoint import synthetic
from kleinbild.checkpoint.checkpoint import Checkpoint
from kleinbild.checkpoint.configs import read_model_config
from kleinbild.checkpoint.random_weights import random_weight, uniform
from kleinbild.checkpoint.stored import stored_shapes
from kleinbild.checkpoint.synthetic import (
    MODELS,
    weight_bytes,
    write_synthetic_configs,
    write_synthetic_weights,
)
from kleinbild.config import config_to_json
from kleinbild.errors import KleinbildError

PROJECT = Path(__file__).resolve().parents[3]
TINY_TOKENIZER = MODELS / "tiny" / "tokenizer"


@pytest.fixture
def klein4b(tmp_path: Path) -> Path:
    """The configs of FLUX.2 Klein 4B with a tokenizer, without weights."""
    write_synthetic_configs(tmp_path, TINY_TOKENIZER)
    return tmp_path


def test_the_configs_are_those_of_the_benchmarks(klein4b: Path) -> None:
    bench = json.loads((PROJECT / "src_js" / "bench" / "klein4b.json").read_text())
    config = json.loads(json.dumps(config_to_json(read_model_config(klein4b))))
    assert list(config) == list(bench)
    for part in ("text_encoder", "transformer", "vae_decoder", "scheduler", "prompt", "default_steps"):
        assert config[part] == bench[part], part


def test_the_sizes_are_those_of_the_published_files(klein4b: Path) -> None:
    shapes = stored_shapes(klein4b)
    counts = {stage: sum(map(math.prod, tensors.values())) for stage, tensors in shapes.items()}
    # 49,620,259 of the VAE's decoder, 34,425,856 of its encoder, 256 statistics and their count
    vae = 49_620_259 + 34_425_856 + 256 + 1
    assert counts == {"text_encoder": 4_022_468_096, "transformer": 3_875_544_576, "vae_decoder": vae}
    assert shapes["transformer"]["single_transformer_blocks.19.attn.to_qkv_mlp_proj.weight"] == (27648, 3072)
    assert weight_bytes(klein4b) == 2 * (sum(counts.values()) - 1) + 8


def test_blocks_and_files_hold_what_whole_tensors_would(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(synthetic, "BLOCK_ELEMENTS", 5000)
    configs = make_checkpoint(tmp_path / "configs", name="Small", weights=False)
    written: list[int] = []
    for out in ("one", "two"):
        write_synthetic_configs(tmp_path / out, TINY_TOKENIZER, configs)
        write_synthetic_weights(tmp_path / out, 600_000, written.append)
    assert sum(written) == 2 * (weight_bytes(configs) - 8)
    files = sorted(path.relative_to(tmp_path / "one") for path in (tmp_path / "one").rglob("*.safetensors"))
    assert len(files) > 3
    for file in files:
        assert (tmp_path / "one" / file).stat().st_size < 640_000
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes()
    checkpoint = Checkpoint.open(tmp_path / "one")
    checkpoint.check()
    for stage, part, name in (
        ("text_encoder", "text_encoder", "model.embed_tokens.weight"),
        ("transformer", "transformer", "proj_out.weight"),
        ("vae_decoder", "vae", "decoder.conv_in.bias"),
    ):
        exact = random_weight(f"synthetic-4b/{part}", name, checkpoint.expected[stage][name].shape)
        np.testing.assert_allclose(checkpoint.tensor(stage, name), exact, rtol=2.0**-8)


def test_parts_of_the_numbers_are_those_of_the_whole() -> None:
    whole = uniform("a", 200_000)
    np.testing.assert_array_equal(uniform("a", 70_000, 65_000), whole[65_000:135_000])
    np.testing.assert_array_equal(uniform("a", 1, 199_999), whole[-1:])


def test_without_config_files(tmp_path: Path) -> None:
    with pytest.raises(KleinbildError, match="use a whole source tree"):
        write_synthetic_configs(tmp_path / "out", TINY_TOKENIZER, tmp_path / "gone")
    assert not (tmp_path / "out").exists()
