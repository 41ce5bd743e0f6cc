"""What a command tells of its pictures: a bar on a terminal, one line for each, JSON if asked."""

from __future__ import annotations

import json
import sys
from typing import TextIO

from kleinbild.server.generate.messages import ProgressMessage
from kleinbild.server.generate.progress import Progress
from kleinbild.server.generate.session import Picture, Preview
from kleinbild.server.make.batch import Task
from kleinbild.server.make.terminal import Encode


class Report:
    """Lines for people on `progress`, for machines (`as_json`) on `out`."""

    def __init__(
        self, progress: Progress, as_json: bool, out: TextIO | None = None, encode: Encode | None = None
    ) -> None:
        """`encode`: how the terminal shows previews, None when it does not."""
        self.made = self.skipped = self.failed = 0
        self.title = ""  # of the picture in hand, before its progress
        self._progress = progress
        self._as_json = as_json
        self._encode = encode
        self._out = out if out is not None else sys.stdout

    def starting(self, message: ProgressMessage) -> None:
        """The model's start is at `message`."""
        self._progress.update(message.stage, message.step, message.steps, message.fraction)

    def making(self, message: ProgressMessage) -> None:
        """The picture in hand is at `message`: told on a terminal only."""
        if self._progress.is_terminal:
            label = f"{self.title}{message.stage}"
            self._progress.update(label, message.step, message.steps, message.fraction)

    def showing(self, preview: Preview) -> None:
        """The picture in hand looks like `preview` so far."""
        if self._encode is not None:
            self._progress.note(self._encode(preview))

    def done(self, task: Task, picture: Picture, seconds: float, by: str) -> None:
        """`task` is made and written, in `seconds` all in all."""
        self.made += 1
        job = task.job
        facts = f"{job.width}x{job.height}, seed {job.seed}, {job.steps} steps"
        self._progress.note(f"{task.output}: {facts}, {seconds:.2f} s")
        self._tell(task, state="done", seconds=round(seconds, 4), stages=picture.seconds, by=by)

    def there(self, task: Task) -> None:
        """`task` was made by an earlier run."""
        self.skipped += 1
        self._tell(task, state="there")

    def refused(self, task: Task, reason: str) -> None:
        """`task` cannot be made."""
        self.failed += 1
        self._progress.note(f"{task.output}: {reason}")
        self._tell(task, state="failed", error=reason)

    def summary(self) -> str:
        """How many of each, in words."""
        parts = [f"{self.made} made"]
        parts += [f"{self.skipped} there already"] if self.skipped else []
        parts += [f"{self.failed} failed"] if self.failed else []
        return ", ".join(parts)

    def _tell(self, task: Task, **facts: object) -> None:
        if self._as_json:
            job = task.job
            record = {
                "output": str(task.output),
                "line": task.line,
                "prompt": job.prompt,
                "width": job.width,
                "height": job.height,
                "seed": job.seed,
                "steps": job.steps,
            }
            self._out.write(json.dumps(record | facts) + "\n")
            self._out.flush()
