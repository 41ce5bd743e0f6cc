"""What the tests of this folder ask of a fetch."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hub.repositories import CHECKPOINT_NEEDLESS, checkpoint_files
from huggingface_hub import constants

from kleinbild.errors import KleinbildError
from kleinbild.hub import Plan, fetch

REPO = "owner/model"
BIG = "transformer/diffusion_pytorch_model.safetensors"
CHECKPOINT = {path: data for path, data in checkpoint_files().items() if path not in CHECKPOINT_NEEDLESS}


def fetched(source: str = f"hf:{REPO}") -> tuple[Path, Plan]:
    """What a fetch of `source` gives and announces."""
    plans: list[Plan] = []
    result = fetch(source, plans.append)
    (plan,) = plans
    return result, plan


def refused(source: str = f"hf:{REPO}") -> str:
    """The line that a fetch of `source` fails with."""
    with pytest.raises(KleinbildError) as caught:
        fetch(source, lambda plan: None)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@contextmanager
def hub_gone(monkeypatch: pytest.MonkeyPatch, how: str) -> Iterator[None]:
    """The time after the server went away: nobody answers, or the user says not to ask."""
    with monkeypatch.context() as patch:
        if how == "HF_HUB_OFFLINE":
            patch.setattr(constants, "HF_HUB_OFFLINE", True)
        else:
            patch.setattr(constants, "ENDPOINT", "http://127.0.0.1:1")
        yield
