"""Models from the Hugging Face hub: hf:owner/name[@revision] -> a folder that the readers open.

`fetch` is all that others use. The hub's library is an optional extra and slow to import, so it is imported
when the first hub source is named and no sooner.
"""

from __future__ import annotations

from pathlib import Path

from kleinbild.errors import KleinbildError
from kleinbild.hub.plan import Announce, Plan
from kleinbild.hub.reference import is_hub_source, parse_reference

__all__ = ["Plan", "fetch", "is_hub_source"]


def fetch(source: str, announce: Announce) -> Path:
    """A folder with the files that a build needs of the model `source` names (hf:owner/name[@revision]).

    It lies in the hub's cache and is named as the repository is, for readers that take a name from it.
    `announce` is told the plan before anything large is fetched. What the cache holds is not fetched again;
    without network a whole model in the cache serves. Raises KleinbildError saying what to do.
    """
    reference = parse_reference(source)
    try:
        from huggingface_hub import constants  # noqa: PLC0415 (an optional extra, wanted only here)
    except ImportError:
        raise KleinbildError(
            f"{source}: models of the hub need its library: pip install 'kleinbild[hub]', "
            "or fetch the model yourself and give its folder"
        ) from None
    # Plain HTTP, which every hub and mirror speaks; and nobody is told who builds what.
    constants.HF_HUB_DISABLE_XET = True
    constants.HF_HUB_DISABLE_TELEMETRY = True
    from kleinbild.hub.fetch import fetch_model  # noqa: PLC0415 (needs the library)

    return fetch_model(reference, announce)
