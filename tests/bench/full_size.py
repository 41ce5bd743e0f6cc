"""Times a checkpoint's way to a site: export, packaging, check, beside what the disk and numpy do at best.

    python tests/bench/full_size.py --work /var/tmp/bench              # writes a synthetic 4B model, 16 GB
    python tests/bench/full_size.py --work /var/tmp/bench --checkpoint DIR -- --weights q4 --block-size 32

Every step is a process of its own; wall clock, CPU seconds and peak memory are the system's own figures. The
input is what a step reads: the checkpoint's tensors that are used, the bundle, the site. "idle MB/s" is what
two idle cores would give if the step kept both busy all the time: on a machine that is shared, the wall clock
says little. A plain copy of the checkpoint and a plain dequantise of the bundle's 4-bit weights are there to
compare with. Whatever is written below --work is removed at the end, but not a given checkpoint.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from kleinbild.bundle import Bundle
from kleinbild.checkpoint.checkpoint import Checkpoint
from kleinbild.export.export import input_bytes
from kleinbild.package.watched_source import bundle_bytes
from kleinbild.weights import Q4, dequantise

PROJECT = Path(__file__).resolve().parents[2]
BUILD = str(PROJECT / "build.py")
SYNTHETIC = str(PROJECT / "tests" / "bench" / "synthetic_checkpoint.py")
COPY_BYTES = 16 << 20
CORES = 2
DISK_SECONDS = 1.0


@dataclass(frozen=True)
class Step:
    """What one process took. `input_bytes` is what it had to read."""

    name: str
    input_bytes: int
    seconds: float
    cpu_seconds: float
    memory_bytes: int
    disk_bytes: int

    @property
    def rate(self) -> float:
        """Bytes of input a second."""
        return self.input_bytes / self.seconds

    @property
    def idle_rate(self) -> float:
        """The same if CORES cores had been busy with it all the time."""
        return CORES * self.input_bytes / max(self.cpu_seconds, 1e-9)


class DiskWatch:
    """The most bytes that the files below `folder` took while the block ran."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self.most = 0

    def __enter__(self) -> DiskWatch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _watch(self) -> None:
        last = False
        while not last:
            last = self._ended.wait(DISK_SECONDS)
            self.most = max(self.most, disk_bytes(self._folder))


def disk_bytes(folder: Path) -> int:
    """Bytes of the files below `folder`, a file of several names once; files may come and go meanwhile."""
    sizes = {}
    for root, _, names in os.walk(folder):
        for name in names:
            try:
                stat = os.lstat(os.path.join(root, name))  # noqa: PTH118 (thousands of files, every second)
            except FileNotFoundError:
                continue
            sizes[stat.st_ino] = stat.st_size
    return sum(sizes.values())


def measure(name: str, size: int, work: Path, command: Sequence[str]) -> Step:
    """Runs `command` with this Python; raises RuntimeError when it fails."""
    print(f"{name} ...", flush=True)
    began = time.monotonic()
    with DiskWatch(work) as disk:
        process = os.posix_spawn(sys.executable, [sys.executable, *command], os.environ)
        _, status, usage = os.wait4(process, 0)
    seconds = time.monotonic() - began
    if status:
        raise RuntimeError(f"{name} failed with status {os.waitstatus_to_exitcode(status)}")
    return Step(name, size, seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024, disk.most)


def run(work: Path, checkpoint: Path | None, tokenizer: Path | None, options: Sequence[str]) -> list[Step]:
    """All steps, in a folder `work` that must not exist yet."""
    bundle, site, copy = work / "bundle", work / "site", work / "copy"
    work.mkdir(parents=True)
    try:
        if checkpoint is None:
            checkpoint = work / "checkpoint"
            given = [] if tokenizer is None else ["--tokenizer", str(tokenizer)]
            measure("synthetic checkpoint", 0, work, [SYNTHETIC, str(checkpoint), *given])
        size = disk_bytes(checkpoint)
        script = str(Path(__file__).resolve())
        steps = [measure("plain copy", size, work, [script, "--copy", str(checkpoint), str(copy)])]
        shutil.rmtree(copy)
        used = input_bytes(Checkpoint.open(checkpoint))
        command = [BUILD, "export", str(checkpoint), "--out", str(bundle), *options]
        steps.append(measure("export", used, work, command))
        size = bundle_bytes(bundle)
        steps.append(measure("plain dequantise", size, work, [script, "--dequantise", str(bundle)]))
        steps.append(measure("site", size, work, [BUILD, "site", str(bundle), "--out", str(site)]))
        steps.append(measure("check", disk_bytes(site), work, [BUILD, "check", str(site)]))
        return steps
    finally:
        shutil.rmtree(work)


def copy_files(source: Path, target: Path) -> None:
    """Reads and writes every file, and nothing else: no link, no copy inside the kernel."""
    for path in sorted(path for path in source.rglob("*") if path.is_file()):
        copy = target / path.relative_to(source)
        copy.parent.mkdir(parents=True, exist_ok=True)
        with path.open("rb") as reader, copy.open("wb") as writer:
            shutil.copyfileobj(reader, writer, COPY_BYTES)


def dequantise_all(folder: Path) -> None:
    """Reads every weight of a bundle and dequantises those in 4 bits."""
    bundle = Bundle.open(folder)
    for stage, tensors in bundle.expected.items():
        for name in tensors:
            weight = bundle.tensor(stage, name)
            if isinstance(weight, Q4):
                dequantise(weight)


def table(steps: Sequence[Step]) -> str:
    """The steps for people, sizes in powers of 1000."""
    lines = [
        f"{'step':18}{'input':>9}{'wall':>9}{'CPU':>9}{'MB/s':>8}{'idle MB/s':>11}{'memory':>10}{'disk':>9}"
    ]
    lines += [
        f"{step.name:18}{step.input_bytes / 1e9:6.1f} GB{step.seconds:7.0f} s{step.cpu_seconds:7.0f} s"
        f"{step.rate / 1e6:8.0f}{step.idle_rate / 1e6:11.0f}{step.memory_bytes / 1e9:7.2f} GB"
        f"{step.disk_bytes / 1e9:6.1f} GB"
        for step in steps
    ]
    return "\n".join(lines)


def main() -> int:
    """Prints the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--work", type=Path, help="new folder for everything that is written")
    parser.add_argument("--checkpoint", type=Path, help="a checkpoint in place of a synthetic one")
    parser.add_argument("--tokenizer", type=Path, help="tokenizer folder of the synthetic one")
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    parser.add_argument("--copy", nargs=2, type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--dequantise", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("options", nargs="*", help="options of the export, after --")
    options = parser.parse_args()
    if options.copy:
        copy_files(*options.copy)
    elif options.dequantise:
        dequantise_all(options.dequantise)
    elif options.work is None:
        parser.error("give --work")
    elif options.work.exists():
        parser.error(f"{options.work} is there already; name a new folder with --work")
    else:
        steps = run(options.work, options.checkpoint, options.tokenizer, options.options)
        print(table(steps))
        if options.json:
            options.json.write_text(json.dumps([asdict(step) for step in steps], indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
