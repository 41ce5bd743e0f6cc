"""Modulation: which rows of which linear of the timestep vector are a block's shifts, scales and gates.

The canonical order is shift, scale, gate, once or twice. A graph may hold them in any: the scale is the one
that 1 is added to. All blocks of a kind must use the same ones, which is what tells FLUX.2 from FLUX.1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from kleinbild.bundle.expression import Value
from kleinbild.bundle.match import Role, Source, pairs, source_rows
from kleinbild.bundle.places import Place, Rows, rows


@dataclass(frozen=True)
class Modulated:
    """layer_norm(state) (1 + scale) + shift."""

    state: Value
    scale: Source
    shift: Source
    eps: float


def modulated(x: Value, role: Role) -> Modulated:
    """Takes `x` apart; raises KleinbildError when it is nothing of the kind."""
    if x.op == "add":
        for product, shift in pairs(x):
            if product.op != "multiply":
                continue
            for normed, factor in pairs(product):
                scale = _without_one(factor)
                if normed.op == "layer_norm" and scale is not None:
                    part = role.within("the modulation")
                    return Modulated(
                        normed.inputs[0],
                        source_rows(scale, part),
                        source_rows(shift, part),
                        normed.attributes[0],
                    )
    raise role.missing("a layer norm without weights, times 1 + scale, plus shift", x)


def _without_one(x: Value) -> Value | None:
    while x.op == "reshape":
        x = x.inputs[0]
    if x.op != "add":
        return None
    return next((scale for scale, one in pairs(x) if one.scalar == 1), None)


class Modulations:
    """The modulations of all blocks, gathered while they are gone through."""

    def __init__(self, stage: str) -> None:
        self._stage = stage
        self._rows: dict[str, dict[int, Rows]] = {}
        self._vector: Value | None = None
        self._eps: set[float] = set()

    def use(
        self, name: str, parts: Sequence[Modulated | Rows], role: Role, before: Value | None = None
    ) -> None:
        """Notes `parts` of a block in order: a norm's shift and scale, or a gate.

        With `before`, the first norm's shift and scale are noted by `enter`.
        """
        place = 0 if before is None else 2
        for part in parts:
            if isinstance(part, Modulated):
                self.enter(name, part, role, place)
                place += 2
            else:
                self._note(name, place, part, role)
                place += 1

    def enter(self, name: str, found: Modulated, role: Role, place: int = 0) -> None:
        """Notes a norm's shift and scale at `place` and the next."""
        for source in (found.shift, found.scale):
            self.same_vector(source, role)
        self._note(name, place, found.shift.rows, role)
        self._note(name, place + 1, found.scale.rows, role)

    def _note(self, name: str, place: int, found: Rows, role: Role) -> None:
        known = self._rows.setdefault(name, {}).setdefault(place, found)
        if known != found:
            raise role.within(f"{name}").missing(
                "the same modulation in every block", f"rows {found.start}:{found.stop} of {found.weight!r}"
            )

    def same_vector(self, source: Source, role: Role) -> None:
        """Checks that the linear of `source` takes silu of the one timestep vector."""
        if source.x.op != "silu" or (self._vector is not None and source.x.inputs[0] is not self._vector):
            raise role.within("the modulation").missing("a linear of silu of one vector", source.x)
        self._vector = source.x.inputs[0]

    def vector(self, out: Modulated, role: Role) -> Value:
        """The timestep vector, which `out` depends on like all others."""
        for source in (out.shift, out.scale):
            self.same_vector(source, role)
        assert self._vector is not None
        return self._vector

    def eps(self, eps: float, role: Role) -> None:
        """Notes the eps of a norm; all must be equal."""
        self._eps.add(eps)
        if len(self._eps) > 1:
            raise role.missing("one eps in all norms", " and ".join(map(str, sorted(self._eps))))

    def one_eps(self, role: Role) -> float:
        """The eps of all norms."""
        if len(self._eps) != 1:
            raise role.missing("one eps in all norms", f"{len(self._eps)}")
        return next(iter(self._eps))

    def places(self) -> dict[str, Place]:
        """The canonical linears of the modulations."""
        return {
            f"{name}.linear.weight": rows([parts[i] for i in sorted(parts)], f"{self._stage}: {name}")
            for name, parts in self._rows.items()
        }
