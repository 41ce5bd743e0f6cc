"""The results as a table: our time over ONNX Runtime's, line by line, and each at its best."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from peer_plan import Plan, Row

Outcomes = Mapping[tuple[str, str], "Outcome"]


@dataclass(frozen=True)
class Outcome:
    """What one job gave: milliseconds of one run by round, or why there are none."""

    ms: tuple[float, ...] = ()
    error: str = ""

    @property
    def best(self) -> float | None:
        """The fastest round's time of one run, ms; None without one."""
        return min(self.ms, default=None)


MISSING = Outcome(error="no result: the browser ended before it")


def table_rows(plan: Plan, outcomes: Outcomes, families: Iterable[str]) -> list[dict[str, Any]]:
    """Every row of the plan for each family, as JSON. `outcomes` are by job and family."""
    return [_row(row, family, outcomes) for family in families for row in plan.rows]


def _row(row: Row, family: str, outcomes: Outcomes) -> dict[str, Any]:
    own, ort = (outcomes.get((job.id, family), MISSING) for job in (row.own, row.ort))
    ratio = own.best / ort.best if own.best and ort.best else None
    return {
        "label": row.label,
        "group": row.group,
        "family": family,
        "own_ms": own.best,
        "own_tflops": _tflops(row.flops, own.best),
        "own_error": own.error,
        "ort_ms": ort.best,
        "ort_tflops": _tflops(row.flops, ort.best),
        "ort_error": ort.error,
        "ratio": ratio,
    }


def _tflops(flops: float, ms: float | None) -> float | None:
    return flops / ms / 1e9 if ms else None


def best_rows(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """For each work and family that either engine does in several ways, the fastest of either."""
    best = []
    for key in dict.fromkeys((row["group"], row["family"]) for row in rows):
        same = [row for row in rows if (row["group"], row["family"]) == key]
        own = min((row for row in same if row["own_ms"]), key=lambda row: row["own_ms"], default=None)
        ort = min((row for row in same if row["ort_ms"]), key=lambda row: row["ort_ms"], default=None)
        if len(same) > 1 and own and ort:
            ratio = own["own_ms"] / ort["ort_ms"]
            best.append(
                {name: own[name] for name in ("group", "family", "own_ms", "own_tflops")}
                | {name: ort[name] for name in ("ort_ms", "ort_tflops")}
                | {"label": f"best: {key[0]}", "own_error": "", "ort_error": "", "ratio": ratio}
            )
    return best


def render(rows: list[dict[str, Any]]) -> str:
    """`rows` as text, one line each and a line for each error."""
    width = max([len(row["label"]) for row in rows], default=0)
    lines = [
        f"{'':{width}}  {'family':6}  {'ours ms':>9} {'TFLOP/s':>8}  {'ort ms':>9} {'TFLOP/s':>8}  "
        f"{'ours/ort':>8} {'faster':>7}"
    ]
    for row in rows:
        ratio = row["ratio"]
        lines.append(
            f"{row['label']:{width}}  {row['family']:6}  {_cell(row['own_ms'], 9)} "
            f"{_cell(row['own_tflops'], 8)}  {_cell(row['ort_ms'], 9)} {_cell(row['ort_tflops'], 8)}  "
            f"{_cell(ratio, 8, 3)} {_cell(1 / ratio if ratio else None, 6, 1)}{'x' if ratio else ' '}"
        )
        for name, error in (("ours", row["own_error"]), ("ort", row["ort_error"])):
            if error:
                lines.append(f"{'':{width}}    {name}: {' '.join(error.split())[:200]}")
    return "\n".join(line.rstrip() for line in lines)


def _cell(value: float | None, width: int, digits: int = 2) -> str:
    return f"{'-' if value is None else format(value, f'.{digits}f'):>{width}}"
