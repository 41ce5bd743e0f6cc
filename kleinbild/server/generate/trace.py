"""The tensors of --dump: which ones a job must yield, with dtype and shape, and their files.

The list is the contract of `serve.py generate --dump` (names are file names). The page's claims are checked
against it, so nothing the page says decides a path, a size or a type.
"""

from __future__ import annotations

import io
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from kleinbild.errors import KleinbildError
from kleinbild.server.generate.files import check_writable, write_whole
from kleinbild.server.generate.request import Job
from kleinbild.server.site import ModelShape

_OURS = re.compile(r"(input_ids|attention_mask|prompt_embeds|sigmas|latents_[0-9]+|decoded|image)\.npy")
_NUMPY = {"int32": "<i4", "float32": "<f4", "uint8": "|u1"}


@dataclass(frozen=True)
class TensorFacts:
    """dtype ("int32", "float32", "uint8") and shape of one dumped tensor."""

    dtype: str
    shape: tuple[int, ...]

    @property
    def byte_length(self) -> int:
        """Bytes of the tensor's data."""
        return int(np.prod(self.shape)) * np.dtype(_NUMPY[self.dtype]).itemsize


def expected_tensors(job: Job, model: ModelShape) -> dict[str, TensorFacts]:
    """Name -> facts of every tensor a traced run of `job` yields; empty when it is not traced."""
    if not job.trace:
        return {}
    text = (model.text_seq_len,)
    latents = TensorFacts("float32", (job.rows, model.latent_channels))
    return {
        "input_ids": TensorFacts("int32", text),
        "attention_mask": TensorFacts("int32", text),
        "prompt_embeds": TensorFacts("float32", (*text, model.prompt_width)),
        "sigmas": TensorFacts("float32", (job.steps + 1,)),
        **{f"latents_{i}": latents for i in range(job.steps)},
        "decoded": TensorFacts("float32", (3, job.height, job.width)),
        "image": TensorFacts("uint8", (job.height, job.width, 3)),
    }


def open_dump(folder: Path) -> None:
    """Make `folder` ready: create it, remove the tensors of an earlier run (two runs must not mix)."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        check_writable(folder / "image.npy")
        for path in folder.iterdir():
            if _OURS.fullmatch(path.name):
                path.unlink()
    except OSError as error:
        raise KleinbildError(f"--dump {folder}: cannot be used ({error.strerror})") from None


def write_tensor(folder: Path, name: str, facts: TensorFacts, data: bytes) -> None:
    """Write `data`, little endian, as `folder`/`name`.npy."""
    array = np.frombuffer(data, dtype=_NUMPY[facts.dtype]).reshape(facts.shape)
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    write_whole(folder / f"{name}.npy", buffer.getvalue())
