"""Who makes the pictures of a command: anything that takes jobs one after another."""

from __future__ import annotations

from typing import Protocol

from kleinbild.server.generate.request import Job
from kleinbild.server.generate.session import OnProgress, Picture


class Maker(Protocol):
    """`name` says who it is, for the report: "browser" or "server"."""

    name: str

    async def make(self, job: Job, on_progress: OnProgress) -> Picture:
        """The picture. Raises PageError when this one cannot be made, KleinbildError when none can."""
        ...
