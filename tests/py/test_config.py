"""ModelConfig as JSON: what is written comes back, and a bad record is refused by the name of its field."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from kleinbild.checkpoint.configs import read_model_config
from kleinbild.checkpoint.tiny import TINY_FOLDER
from kleinbild.config import config_from_json, config_to_json
from kleinbild.errors import KleinbildError


def record() -> dict[str, Any]:
    """A config as it stands in a manifest, fresh from JSON."""
    value: dict[str, Any] = json.loads(json.dumps(config_to_json(read_model_config(TINY_FOLDER))))
    return value


def test_round_trip() -> None:
    config = read_model_config(TINY_FOLDER)
    assert config_from_json(record()) == config
    assert record()["text_encoder"]["tapped_layers"] == [9, 18, 27]
    assert list(record()) == [
        "text_encoder",
        "transformer",
        "vae_decoder",
        "scheduler",
        "prompt",
        "default_width",
        "default_height",
        "default_steps",
    ]


def test_an_integer_may_stand_for_a_float() -> None:
    value = record()
    value["transformer"]["rope_theta"] = 2000
    theta = config_from_json(value).transformer.rope_theta
    assert type(theta) is float
    assert theta == 2000.0


BAD: dict[str, tuple[Callable[[dict[str, Any]], object], str]] = {
    "missing field": (
        lambda v: v["transformer"].pop("eps"),
        "config.transformer: field 'eps' is missing",
    ),
    "missing part": (lambda v: v.pop("prompt"), "config: field 'prompt' is missing"),
    "unknown field": (lambda v: v["vae_decoder"].update(x=1), "config.vae_decoder: unknown field 'x'"),
    "text for a number": (
        lambda v: v["scheduler"].update(num_train_timesteps="1000"),
        "config.scheduler.num_train_timesteps: expected int, found '1000'",
    ),
    "bool for an int": (
        lambda v: v.update(default_steps=True),
        "config.default_steps: expected int, found True",
    ),
    "float for an int": (
        lambda v: v.update(default_width=256.0),
        "config.default_width: expected int, found 256.0",
    ),
    "bool for a float": (
        lambda v: v["transformer"].update(eps=True),
        "config.transformer.eps: expected float",
    ),
    "number for a text": (
        lambda v: v["prompt"].update(template_prefix=1),
        "config.prompt.template_prefix: expected str, found 1",
    ),
    "number for a list": (
        lambda v: v["transformer"].update(axes_dims_rope=8),
        "config.transformer.axes_dims_rope: expected a list, found 8",
    ),
    "text in a list": (
        lambda v: v["text_encoder"].update(tapped_layers=[9, "18"]),
        "config.text_encoder.tapped_layers[1]: expected int, found '18'",
    ),
    "list for a part": (lambda v: v.update(prompt=[]), "config.prompt: expected PromptConfig, found []"),
}


@pytest.mark.parametrize("case", BAD)
def test_refuses(case: str) -> None:
    spoil, message = BAD[case]
    value = record()
    spoil(value)
    with pytest.raises(KleinbildError) as error:
        config_from_json(value)
    assert str(error.value).startswith(message)


@pytest.mark.parametrize("value", [None, [], "config", 1])
def test_refuses_what_is_no_object(value: object) -> None:
    with pytest.raises(KleinbildError, match=r"manifest\.config: expected ModelConfig"):
        config_from_json(value, "manifest.config")
