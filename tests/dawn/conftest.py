"""The page's pipeline on Dawn, driven from pytest: Node makes the pictures."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
from jobs import Arrays, Draw, Job

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def dawn_environment() -> dict[str, str]:
    """The environment in which Node's WebGPU finds a driver: lavapipe, fetched once into .cache."""
    script = ROOT / "tests" / "tools" / "lavapipe.sh"
    folder = subprocess.run(["bash", script], check=True, capture_output=True, text=True).stdout.strip()
    library = next(Path(folder).glob("root/**/libvulkan_lvp.so")).parent
    return {
        **os.environ,
        "VK_ICD_FILENAMES": f"{folder}/lvp_icd.json",
        "LD_LIBRARY_PATH": str(library),
        "XDG_RUNTIME_DIR": "/tmp",
    }


@pytest.fixture(scope="session")
def draw(dawn_environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Draw:
    """Makes the pictures of some jobs in one process and returns every boundary of each, by name."""

    def run(jobs: Sequence[Job]) -> list[Arrays]:
        work = tmp_path_factory.mktemp("draw")
        orders = []
        for i, job in enumerate(jobs):
            out = work / str(i)
            out.mkdir()
            latents = None
            if job.latents is not None:
                latents = str(out / "latents.f32")
                Path(latents).write_bytes(np.ascontiguousarray(job.latents, "<f4").tobytes())
            order = asdict(job) | {
                "site": str(job.site),
                "out": str(out),
                "latents": latents,
                "seed": str(job.seed),
            }
            orders.append(order)
        (work / "jobs.json").write_text(json.dumps(orders))
        command = ["node", str(ROOT / "tests/js/support/generate.js"), str(work / "jobs.json")]
        done = subprocess.run(command, env=dawn_environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr[-4000:]
        return [{f.stem: np.load(f) for f in (work / str(i)).glob("*.npy")} for i in range(len(jobs))]

    return run
