"""The lines of --batch, and what of them is there already.

A picture's file name holds its line's number and a digest of all that makes it what it is, so that a batch
goes on where it stopped by looking at the names alone: a line that was changed asks for another file.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from kleinbild.errors import KleinbildError
from kleinbild.server.generate.options import GenerateOptions
from kleinbild.server.generate.request import Job, make_job
from kleinbild.server.site import Site

MAX_BATCH_BYTES = 64 << 20
MAX_LINES = 99_999
DIGEST_CHARS = 8
FIELDS: dict[str, type] = {"prompt": str, "width": int, "height": int, "seed": int, "steps": int}


@dataclass(frozen=True)
class Task:
    """A picture and its file; `line` of the batch, None for the picture of --output."""

    job: Job
    output: Path
    line: int | None


def read_batch(
    path: Path, folder: Path, options: GenerateOptions, site: Site, notice: Callable[[str], None]
) -> list[Task]:
    """The tasks in `path`: JSON objects, one a line, of FIELDS; what a line leaves out is as in `options`.

    Raises KleinbildError naming the first line that is wrong: nothing is made of a batch that is not whole.
    """
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BATCH_BYTES + 1)
        text = data.decode("utf-8")
    except OSError as error:
        raise KleinbildError(f"--batch {path}: cannot be read ({error.strerror})") from None
    except UnicodeDecodeError:
        raise KleinbildError(f"--batch {path}: not UTF-8") from None
    # Not splitlines(): a prompt may hold other characters that end a line.
    lines = text.split("\n")
    if len(data) > MAX_BATCH_BYTES or len(lines) > MAX_LINES:
        raise KleinbildError(f"--batch {path}: more than {MAX_BATCH_BYTES >> 20} MiB or {MAX_LINES} lines")
    tasks = []
    for number, line in enumerate(lines, 1):
        if line.strip():
            where = f"--batch {path} line {number}"
            job = _job(line, where, options, site, notice)
            tasks.append(Task(job, folder / f"{number:05d}-{_digest(job, site.model_id)}.png", number))
    if not tasks:
        raise KleinbildError(f"--batch {path}: holds no line")
    return tasks


def _job(line: str, where: str, options: GenerateOptions, site: Site, notice: Callable[[str], None]) -> Job:
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        raise KleinbildError(f"{where}: no JSON") from None
    if not isinstance(record, dict) or "prompt" not in record:
        raise KleinbildError(f'{where}: no object with a "prompt"')
    for name, value in record.items():
        if name not in FIELDS:
            raise KleinbildError(f"{where}: {name[:40]!r} is not known; {', '.join(FIELDS)} are")
        if type(value) is not FIELDS[name]:
            raise KleinbildError(f"{where}: {name} must be of type {FIELDS[name].__name__}")
    changes: dict[str, Any] = record
    try:
        return make_job(replace(options, **changes), site.model, lambda text: notice(f"{where}: {text}"))
    except KleinbildError as error:
        raise KleinbildError(f"{where}: {error}") from None


def _digest(job: Job, model_id: str) -> str:
    facts = [model_id, job.prompt, job.width, job.height, str(job.seed), job.steps]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:DIGEST_CHARS]
