"""A benchmark's rows as a table for a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from kleinbild.server.bench.result import Result, Row

TITLES = {
    "picture": "Whole picture, warm",
    "stage": "Stages",
    "page": "The page meanwhile",
    "start": "Start",
    "memory": "GPU memory",
    "peak": "What the GPU can do",
    "kernel": "Kernels",
}
Cells = tuple[str, str, str, str]


def table_text(result: Result) -> str:
    """The whole table, with a line about the machine; ends with a newline."""
    return f"{result.machine}, {result.precision}\n{rows_text(result.rows)}"


def rows_text(rows: Sequence[Row]) -> str:
    """The table of `rows` alone; ends with a newline."""
    cells: list[Cells | str] = []
    for group, title in TITLES.items():
        members = [row for row in rows if row.group == group]
        if members:
            cells += ["", title, *map(row_cells, members)]
    widths = [max((len(c[i]) for c in cells if isinstance(c, tuple)), default=0) for i in range(4)]
    lines = list(_lines(cells, widths))
    errors = [f"{row.name}: {row.error}" for row in rows if row.error]
    if errors:
        lines += ["", "Not measured", *(f"  {error}" for error in errors)]
    return "\n".join(lines) + "\n"


def _lines(cells: Iterable[Cells | str], widths: list[int]) -> Iterator[str]:
    for line in cells:
        if isinstance(line, str):
            yield line
        else:
            name, *numbers = line
            columns = [f"  {name:<{widths[0]}}"]
            columns += [f"{text:>{width}}" for text, width in zip(numbers, widths[1:], strict=True)]
            yield "  ".join(columns).rstrip()


def row_cells(row: Row) -> Cells:
    """Name, value, rate and share of the peak in words; "" for what was not measured."""
    value = rate = share = ""
    if row.error:
        value = "failed"
    elif row.seconds is not None:
        value = time_text(row.seconds)
    elif row.bytes is not None:
        value = f"{row.bytes / 1e9:.2f} GB" if row.bytes >= 1e9 else f"{row.bytes / 1e6:.1f} MB"
    if row.tflops is not None:
        rate = flops_text(row.tflops)
    elif row.gigabytes_per_second is not None:
        rate = f"{digits(row.gigabytes_per_second)} GB/s"
    if row.percent is not None:
        share = f"{row.percent:.1f} %"
    return row.name, value, rate, share


def time_text(seconds: float) -> str:
    """Three digits with a unit that suits."""
    for factor, unit in ((1.0, "s"), (1e3, "ms")):
        if seconds * factor >= 1:
            return f"{digits(seconds * factor)} {unit}"
    return f"{digits(seconds * 1e6)} us"


def flops_text(tflops: float) -> str:
    """A rate of arithmetic in the unit that suits: software adapters do a few GFLOP/s."""
    return f"{digits(tflops)} TFLOP/s" if tflops >= 0.1 else f"{digits(1e3 * tflops)} GFLOP/s"


def digits(value: float) -> str:
    """`value` with three digits, or all of those before the point."""
    return f"{value:.0f}" if value >= 100 else f"{value:#.3g}".rstrip(".")
