"""The least manifest that a page can be rendered for; its words are those that a template must escape."""

from __future__ import annotations

from kleinbild.config import (
    ModelConfig,
    PromptConfig,
    SchedulerConfig,
    TextEncoderConfig,
    TransformerConfig,
    VaeDecoderConfig,
)
from kleinbild.package.manifest import FileRef, Manifest

CONFIG = ModelConfig(
    TextEncoderConfig(8, 8, 8, 1, 1, 1, 8, 1e-6, 1e6, (1,)),
    TransformerConfig(8, 8, 8, 1, 1, 1, 8, 8, 8, 8, (2, 2, 2, 2), 2000.0, 1e-6),
    VaeDecoderConfig(2, 3, (8,), 1, 1, 1e-6, 2, 1e-4),
    SchedulerConfig(1000),
    PromptConfig(512, "", ""),
    256,
    256,
    4,
)
MANIFEST = Manifest(
    schema=4,
    id="m-q4-0",
    name='M "<&>',
    revision="0" * 64,
    notice={"en": "</script>"},
    examples=(),
    sizes=(),
    weights="q4",
    config=CONFIG,
    tokenizer=FileRef("w/x.json", "x", 1, "", 1),
    table_sigmas=(),
    stages=(),
    tensors=(),
    shards=(),
)
