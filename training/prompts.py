"""Prompts -> token ids, with the template and the padding of the packaged model."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer

from kleinbild.checkpoint.configs import PROMPT

PAD = "<|endoftext|>"


class Prompts:
    """The tokenizer of a folder, for prompts of at most `text_seq_len` tokens with the template."""

    def __init__(self, folder: Path, text_seq_len: int) -> None:
        self.tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self.text_seq_len = text_seq_len
        self.pad = self.tokenizer.token_to_id(PAD)

    def encode(self, prompts: Sequence[str]) -> tuple[np.ndarray, np.ndarray, int]:
        """ids [B, text_seq_len] int16, lengths [B] int16, how many prompts were cut."""
        texts = [PROMPT.template_prefix + prompt + PROMPT.template_suffix for prompt in prompts]
        ids = np.full((len(texts), self.text_seq_len), self.pad, np.int16)
        lengths = np.empty(len(texts), np.int16)
        cut = 0
        for row, encoding in enumerate(self.tokenizer.encode_batch(texts)):
            found = encoding.ids[: self.text_seq_len]
            cut += len(encoding.ids) > self.text_seq_len
            ids[row, : len(found)] = found
            lengths[row] = len(found)
        return ids, lengths, cut
