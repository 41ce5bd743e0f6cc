"""src_js/model_tensors.js and src_js/synthetic_manifest.js against the packager's own list and packing."""

from __future__ import annotations

import json
import re
import subprocess
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kleinbild.canonical import TensorSpec
from kleinbild.config import ModelConfig, config_from_json, config_to_json
from kleinbild.package.compression import Buffer
from kleinbild.package.manifest import FileRef
from kleinbild.package.manifest_checks import check_config
from kleinbild.package.shards import ShardWriter
from kleinbild.package.stages import MODULATION_TABLE, TABLE_STAGE, stage_tensors, table_spec
from kleinbild.package.store import FileStore
from kleinbild.weights import Q4, Dense, Weight

BLOCK = re.compile(r"(model\.layers|transformer_blocks|single_transformer_blocks)\.")
PROJECT = Path(__file__).resolve().parents[2]
MODELS = ("klein4b", "small")


def model(name: str) -> ModelConfig:
    """A model that the benchmark carries."""
    text = (PROJECT / "src_js" / "bench" / f"{name}.json").read_text()
    config = config_from_json(json.loads(text))
    check_config(config)
    return config


def in_node(config: ModelConfig, expression: str) -> Any:
    """What `expression`, with `config` and both modules in reach, is in Node."""
    script = f"""
        import * as manifest from "./src_js/synthetic_manifest.js";
        import * as tensors from "./src_js/model_tensors.js";
        const config = JSON.parse(process.argv[1]);
        console.log(JSON.stringify({expression}));
    """
    run = subprocess.run(
        ["node", "--input-type=module", "-e", script, json.dumps(config_to_json(config))],
        check=False,
        cwd=PROJECT,
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout)


@pytest.mark.parametrize("name", MODELS)
def test_the_page_lists_the_tensors_that_the_packager_lists(name: str) -> None:
    found = in_node(model(name), "tensors.modelTensors(config)")
    listed = [
        (stage, spec["name"], TensorSpec(spec["kind"], tuple(spec["shape"])))
        for stage, specs in found.items()
        for spec in specs
    ]
    assert listed == [(stage, name, spec) for stage, _, name, spec in stage_tensors(model(name))]


class SizesOnly(FileStore):
    """A store that numbers files instead of writing them; the page's made-up manifest numbers them alike."""

    def __init__(self) -> None:
        self._count = 0

    def put(self, data: Buffer, suffix: str) -> FileRef:
        self._count += 1
        digest = f"{self._count:064x}"
        return FileRef(f"w/{digest}.{suffix}", digest, len(data), "", len(data))


def zeros(spec: TensorSpec, name: str, options: dict[str, Any]) -> Weight:
    """A weight of zeros as a bundle of these options stores it."""
    if options["format"] != "q4" or spec.kind != "linear" or BLOCK.match(name) is None:
        return Dense(np.zeros(spec.shape, np.float32 if options["format"] == "f32" else np.float16))
    rows, columns = spec.shape
    size = options["blockSize"]
    blocks = -(-columns // size)
    points = np.zeros((rows, (blocks + 1) // 2), np.uint8) if options["zeroPoints"] else None
    codes = np.zeros((rows, blocks, size // 2), np.uint8)
    return Q4((rows, columns), size, codes, np.zeros((rows, blocks), np.float16), points)


# Odd widths leave partial blocks and padded rows; the vocabulary makes an embedding of several shards.
CONFIG = model("small")
ODD = replace(
    CONFIG,
    text_encoder=replace(CONFIG.text_encoder, hidden_size=1028, vocab_size=40003, intermediate_size=100),
)


@pytest.mark.parametrize(
    "options",
    [
        {"format": "q4", "blockSize": 16, "zeroPoints": True, "tableSigmas": [1, 0.5, 0.25]},
        {"format": "q4", "blockSize": 128, "zeroPoints": False, "tableSigmas": []},
        {"format": "f16", "blockSize": 0, "zeroPoints": False, "tableSigmas": []},
        {"format": "f32", "blockSize": 0, "zeroPoints": False, "tableSigmas": []},
    ],
)
def test_a_made_up_model_is_packed_as_the_packager_packs(options: dict[str, Any]) -> None:
    found = in_node(ODD, f"manifest.syntheticManifest(config, {json.dumps(options)})")
    sigmas = options["tableSigmas"]
    with ShardWriter(SizesOnly(), threads=1) as writer:
        current = ""
        for stage, _, name, spec in stage_tensors(ODD):
            if stage != current:
                writer.begin_stage(stage)
                current = stage
                if stage == TABLE_STAGE and sigmas:
                    table = table_spec(ODD, len(sigmas))
                    writer.add(MODULATION_TABLE, table.kind, Dense(np.zeros(table.shape, np.float32)))
                    writer.end_shard()
            writer.add(name, spec.kind, zeros(spec, name, options))
        writer.finish()
    assert any(len(tensor.parts) > 1 for tensor in writer.tensors)
    for key, expected in (("tensors", writer.tensors), ("stages", writer.stages), ("shards", writer.shards)):
        assert found[key] == json.loads(json.dumps([asdict(entry) for entry in expected])), key
