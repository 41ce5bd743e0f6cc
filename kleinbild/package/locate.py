"""Where a SOURCE's files are: a folder of the user's, or a model of the hub, fetched into the hub's cache.

What the folder holds is source.py's business.
"""

from __future__ import annotations

from pathlib import Path

from kleinbild.hub import Plan, fetch, is_hub_source
from kleinbild.package.model import Log
from kleinbild.package.report import size_text


def locate(source: str, log: Log) -> Path:
    """The folder that `source` names, fetched if it is hf:owner/name[@revision]; not looked into otherwise.

    Raises KleinbildError when it cannot be fetched.
    """
    if not is_hub_source(source):
        return Path(source)
    return fetch(source, lambda plan: _announce(plan, log))


def _announce(plan: Plan, log: Log) -> None:
    if plan.offline:
        log(f"{plan.offline}; using what the cache holds")
    log(
        f"{plan.reference} at {plan.commit[:12]}, licence {plan.licence or 'not stated'}: "
        f"{plan.files} files, {size_text(plan.bytes)}, {size_text(plan.missing_bytes)} to download"
    )
