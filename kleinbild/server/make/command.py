"""serve.py generate from beginning to end: check, find who makes the pictures, make and write them."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace

from kleinbild.errors import KleinbildError
from kleinbild.server.announce import find_announced
from kleinbild.server.generate.chromium import find_chromium
from kleinbild.server.generate.engine import EngineLost, EngineOptions
from kleinbild.server.generate.files import check_writable, write_whole
from kleinbild.server.generate.options import GenerateOptions
from kleinbild.server.generate.page_session import PageError
from kleinbild.server.generate.profile import cache_folder
from kleinbild.server.generate.progress import Progress
from kleinbild.server.generate.request import make_job
from kleinbild.server.generate.signals import stop_on_signals
from kleinbild.server.generate.trace import TensorFacts, open_dump, write_tensor
from kleinbild.server.make.batch import Task, read_batch
from kleinbild.server.make.local import Local, local_maker
from kleinbild.server.make.maker import Maker
from kleinbild.server.make.remote import remote_maker
from kleinbild.server.make.report import Report
from kleinbild.server.make.terminal import Encode, find_encoder
from kleinbild.server.site import Site

KEY_VARIABLE = "KLEINBILD_API_KEY"
BATCH_TRIES = 2


async def generate(site: Site, options: GenerateOptions) -> None:
    """Make the pictures that `options` describe. Raises KleinbildError; no browser outlives the call."""
    stop_on_signals()
    progress = Progress(sys.stderr)
    encode = _encoder(options, progress)
    options = replace(options, preview=encode is not None)
    report = Report(progress, options.json, encode=encode)
    try:
        tasks = _tasks(site, options, progress.note)
        left = []
        for task in tasks:
            if task.line is not None and task.output.exists():
                report.there(task)
            else:
                left.append(task)
        if left:
            async with _maker(site, options, report, progress.note) as maker:
                await _make_all(maker, left, options, report)
        if options.batch is not None:
            progress.note(report.summary())
        if report.failed:
            raise KleinbildError(f"{report.failed} of {len(tasks)} pictures failed")
    finally:
        progress.close()


async def _make_all(maker: Maker, tasks: list[Task], options: GenerateOptions, report: Report) -> None:
    for number, task in enumerate(tasks, 1):
        report.title = f"{number} of {len(tasks)}: " if len(tasks) > 1 else ""
        began = time.monotonic()
        try:
            if options.dump is not None:
                assert isinstance(maker, Local)
                write = _tensor_writer(options)
                picture = await maker.make(task.job, report.making, report.showing, write)
            else:
                picture = await maker.make(task.job, report.making, report.showing)
        except (PageError, EngineLost) as error:
            if task.line is None:
                raise
            report.refused(task, str(error))
            continue
        await asyncio.to_thread(write_whole, task.output, picture.png)
        report.done(task, picture, time.monotonic() - began, maker.name)


def _encoder(options: GenerateOptions, progress: Progress) -> Encode | None:
    """How previews are shown, if they were asked for and can be."""
    if not options.preview:
        return None
    encode = find_encoder() if progress.is_terminal else None
    if encode is None:
        progress.note(
            "note: no previews, since this is no terminal that shows pictures (kitty's way or sixels)"
        )
    return encode


def _tasks(site: Site, options: GenerateOptions, note: Callable[[str], None]) -> list[Task]:
    def notice(text: str) -> None:
        note(f"note: {text}")

    if options.batch is None:
        assert options.output is not None
        check_writable(options.output)
        return [Task(make_job(options, site.model, notice), options.output, None)]
    assert options.output_dir is not None
    tasks = read_batch(options.batch, options.output_dir, options, site, notice)
    try:
        options.output_dir.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise KleinbildError(f"--output-dir {options.output_dir}: {error.strerror}") from None
    check_writable(tasks[0].output)
    return tasks


@asynccontextmanager
async def _maker(
    site: Site, options: GenerateOptions, report: Report, note: Callable[[str], None]
) -> AsyncIterator[Maker]:
    """The running API server when there is one, else a browser of our own."""
    url = find_announced(cache_folder(os.environ)) if options.server else None
    if url is not None:
        async with remote_maker(url, os.environ.get(KEY_VARIABLE) or None, note) as remote:
            serves = await remote.serves(site)
            if serves is not None:
                _check_remote(url, serves, options)
                note(f"using the server at {url}")
                yield remote
                return
    find_chromium(os.environ)  # before anything is written
    if options.dump is not None:
        open_dump(options.dump)
    engine_options = EngineOptions(options.precision, options.adapter, options.verbose)
    tries = 1 if options.batch is None else BATCH_TRIES
    async with local_maker(site, engine_options, report.starting, note, tries) as local:
        yield local


def _check_remote(url: str, serves: bool, options: GenerateOptions) -> None:
    """Raise KleinbildError when the server at `url` cannot do it: it holds the profile that we would need."""
    only_own = {
        "--dump": options.dump is not None,
        "--latents": options.latents is not None,
        "--precision": options.precision != "auto",
        "--adapter": options.adapter != "auto",
        "--memory-budget": options.memory_budget is not None,
    }
    reasons = [f"{option} is not for it" for option, given in only_own.items() if given]
    if not serves:
        reasons.append("it serves another site or model")
    if reasons:
        raise KleinbildError(
            f"the server at {url} runs, and {reasons[0]}; stop it, or set XDG_CACHE_HOME to another folder"
        )


def _tensor_writer(options: GenerateOptions) -> Callable[[str, TensorFacts, bytes], None]:
    def write(name: str, facts: TensorFacts, data: bytes) -> None:
        assert options.dump is not None
        write_tensor(options.dump, name, facts, data)

    return write
