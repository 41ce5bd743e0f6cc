"""What a fetch is about to do: values only, importable without the hub's library."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from kleinbild.hub.reference import Reference


@dataclass(frozen=True)
class Plan:
    """A fetch before it starts.

    `commit` is what the reference's revision means now, `licence` what the model card states ("" when it
    states none), `missing_bytes` what must still come of the `bytes` of `files` files. `offline` says why
    the cache has to serve; "" when the hub answers.
    """

    reference: Reference
    commit: str
    licence: str
    files: int
    bytes: int
    missing_bytes: int
    offline: str


Announce = Callable[[Plan], None]
