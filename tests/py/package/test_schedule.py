"""The packager's noise levels: those of numpy's reference, bit for bit, and those of the preset sizes."""

from __future__ import annotations

import hashlib
import json
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kleinbild.canonical import modulation_columns
from kleinbild.config import ModelConfig, config_from_json
from kleinbild.package.schedule import MAX_TABLE_ROWS, PAGE_SIZES, PRESET_SIZES, sigmas, table_sigmas
from kleinbild.package.shards import SHARD_BYTES

PROJECT = Path(__file__).resolve().parents[3]
GOLDEN = json.loads((PROJECT / "tests" / "golden" / "sigmas_numpy.json").read_text())["cases"]


def klein_4b(**changes: Any) -> ModelConfig:
    text = (PROJECT / "src_js" / "bench" / "klein4b.json").read_text()
    return replace(config_from_json(json.loads(text)), **changes)


@pytest.mark.parametrize("case", GOLDEN, ids=lambda case: str(case["tokens"]))
def test_sigmas_are_those_of_numpy(case: dict[str, Any]) -> None:
    for steps, expected in case["sigmas"].items():
        found = sigmas(case["tokens"], int(steps))
        assert found.dtype == np.float32
        assert found.tolist() == expected
    every = [sigmas(case["tokens"], steps) for steps in range(1, case["max_steps"] + 1)]
    digest = hashlib.sha256(b"".join(row.astype("<f4").tobytes() for row in every)).hexdigest()
    assert digest == case["sha256_of_all_steps"]


def test_the_table_holds_every_step_of_every_preset_once() -> None:
    found = table_sigmas(klein_4b(default_width=256, default_height=256, default_steps=4))
    assert len(found) == 5 * 3 + 1, "sigma 1 is shared"
    assert found[0] == 1.0
    assert list(found) == sorted(set(found), reverse=True)
    tokens = [width // 16 * (height // 16) for width, height in PRESET_SIZES]
    assert set(found) == {sigma for count in tokens for sigma in sigmas(count, 4).tolist()} - {0.0}


def test_every_button_of_the_page_is_a_preset() -> None:
    assert {(max(size), min(size)) for size in PAGE_SIZES} == set(PRESET_SIZES)


def test_the_page_finds_its_sigmas_in_the_manifest() -> None:
    """The page compares what its own scheduler computes with what the manifest says as JSON."""
    config = klein_4b(default_width=1024, default_height=512, default_steps=4)
    script = """
        import { sigmas } from "./src_js/pipeline/scheduler.js";
        const table = new Set(JSON.parse(process.argv[1]));
        const sizes = [[1024, 512], [256, 256], [512, 512], [768, 768], [1024, 1024]];
        const tokens = sizes.map(([width, height]) => (width / 16) * (height / 16));
        const steps = tokens.flatMap((count) => [...sigmas(count, 4)].slice(0, -1));
        console.log(JSON.stringify([steps.length, steps.filter((sigma) => !table.has(sigma))]));
    """
    run = subprocess.run(
        ["node", "--input-type=module", "-e", script, json.dumps(table_sigmas(config))],
        check=True,
        cwd=PROJECT,
        capture_output=True,
        text=True,
    )
    assert json.loads(run.stdout) == [20, []]


def test_the_default_size_has_rows_of_its_own() -> None:
    found = table_sigmas(klein_4b(default_width=768, default_height=512, default_steps=4))
    assert len(found) == 5 * 3 + 1
    assert set(sigmas(48 * 32, 4).tolist()[:-1]) <= set(found)


def test_a_table_stays_in_its_bounds() -> None:
    """Sizes that would not fit are left out whole: every size in the table is there with all its steps."""
    for steps in (90, 100, 300):
        found = table_sigmas(klein_4b(default_width=256, default_height=256, default_steps=steps))
        assert len(found) <= MAX_TABLE_ROWS
        assert not found or set(sigmas(256, steps).tolist()[:-1]) <= set(found)
    assert table_sigmas(klein_4b(default_steps=300)) == ()
    wide = replace(klein_4b().transformer, hidden_size=1 << 18)
    assert 4 * modulation_columns(wide) * 4 > SHARD_BYTES
    assert table_sigmas(klein_4b(transformer=wide)) == ()


def test_a_picture_smaller_than_a_token_has_one() -> None:
    found = table_sigmas(klein_4b(default_width=8, default_height=8, default_steps=2))
    assert set(sigmas(1, 2).tolist()[:-1]) <= set(found)
