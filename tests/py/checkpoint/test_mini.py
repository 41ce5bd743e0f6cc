"""models/mini is whole, small, and what training/config.py says it is."""

from __future__ import annotations

import json

from kleinbild.checkpoint.checkpoint import WEIGHT_FILES, Checkpoint
from kleinbild.checkpoint.safetensors import SafetensorsFolder
from kleinbild.checkpoint.stored import stored_shapes
from kleinbild.checkpoint.synthetic import MODELS
from training.config import EXAMPLES, MINI, TEMPLATE_TOKENS, config_files
from training.prompts import Prompts

FOLDER = MODELS / "mini"
MAX_BYTES = 12_000_000


def test_it_is_small_and_whole() -> None:
    assert sum(path.stat().st_size for path in FOLDER.rglob("*") if path.is_file()) <= MAX_BYTES
    Checkpoint.open(FOLDER).check()
    for stage, shapes in stored_shapes(FOLDER).items():
        stored = SafetensorsFolder.open(FOLDER / WEIGHT_FILES[stage][0], WEIGHT_FILES[stage][1])
        assert {name: stored.entry(name).shape for name in stored} == shapes


def test_its_configs_are_those_that_training_writes() -> None:
    for name, value in config_files(MINI).items():
        assert json.loads((FOLDER / name).read_text()) == value, name


def test_its_layer_behind_the_last_tap_changes_nothing() -> None:
    stored = SafetensorsFolder.open(FOLDER / "text_encoder", "model")
    last = [name for name in stored if name.startswith(f"model.layers.{MINI.text_encoder.num_layers}.")]
    assert last
    assert not any(stored.read(name).any() for name in last)


def test_its_examples_fit_into_its_text() -> None:
    prompts = Prompts(FOLDER / "tokenizer", MINI.text_seq_len)
    _, lengths, cut = prompts.encode(EXAMPLES)
    assert cut == 0
    assert lengths.min() > TEMPLATE_TOKENS
    assert prompts.encode([""])[1] == [TEMPLATE_TOKENS]
