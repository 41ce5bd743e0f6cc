"""The folder that the peer's graphs are written to, each when the page asks for it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from peer_graphs import SEED_FORMAT, Graph, write_attention, write_chain, write_step
from peer_plan import FORMATS, chain_widths
from peer_shapes import Shapes


class GraphFolder:
    """Graphs at `shapes` in `folder`; `element`, TensorProto.FLOAT16 or FLOAT, is the activations' type."""

    def __init__(self, folder: Path, shapes: Shapes, element: int) -> None:
        self.folder = folder
        self._written: dict[str, Graph] = {}
        self._writers: dict[str, Callable[[], Graph]] = {}
        for form in FORMATS:
            for chain, widths in chain_widths(shapes).items():
                name = f"{chain}-{form.label}"
                self._writers[name] = partial(write_chain, folder, name, widths, form, element)
        for kind in ("fused", "unfused"):
            name = f"attention-{kind}"
            write = partial(write_attention, folder, name, shapes.model, element, fused=kind == "fused")
            self._writers[name] = write
        self._writers["step"] = partial(write_step, folder, "step", shapes.model, SEED_FORMAT, element)

    @property
    def names(self) -> set[str]:
        """Every graph there is."""
        return set(self._writers)

    def graph(self, name: str) -> Graph:
        """The files of the graph `name`, written the first time. Raises KeyError for another name."""
        if name not in self._written:
            self._written[name] = self._writers[name]()
        return self._written[name]
