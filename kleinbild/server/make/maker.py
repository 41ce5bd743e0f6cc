"""Who makes the pictures of a command: anything that takes jobs one after another."""

from __future__ import annotations

from typing import Protocol

from kleinbild.server.generate.request import Job
from kleinbild.server.generate.session import OnPreview, OnProgress, Picture


class Maker(Protocol):
    """`name` says who it is, for the report: "browser" or "server"."""

    name: str

    async def make(self, job: Job, on_progress: OnProgress, on_preview: OnPreview | None = None) -> Picture:
        """The picture; `on_preview` gets the previews of a job that wants them.

        Raises PageError when this one cannot be made, KleinbildError when none can."""
        ...
