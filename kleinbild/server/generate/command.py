"""serve.py generate from beginning to end: check, open an engine, make the picture, write it."""

from __future__ import annotations

import asyncio
import os
import sys

from kleinbild.server.generate.chromium import find_chromium
from kleinbild.server.generate.engine import EngineOptions, open_engine
from kleinbild.server.generate.files import check_writable, write_whole
from kleinbild.server.generate.messages import ProgressMessage
from kleinbild.server.generate.options import GenerateOptions
from kleinbild.server.generate.progress import Progress
from kleinbild.server.generate.request import make_job
from kleinbild.server.generate.signals import stop_on_signals
from kleinbild.server.generate.trace import TensorFacts, expected_tensors, open_dump, write_tensor
from kleinbild.server.site import Site


async def generate(site: Site, options: GenerateOptions) -> None:
    """Make the picture that `options` describe. Raises KleinbildError; no browser outlives the call."""
    stop_on_signals()
    progress = Progress(sys.stderr)
    try:
        job = make_job(options, site.model, lambda text: progress.note(f"note: {text}"))
        find_chromium(os.environ)  # before anything is written
        check_writable(options.output)
        if options.dump is not None:
            open_dump(options.dump)

        def show(message: ProgressMessage) -> None:
            progress.update(message.stage, message.step, message.steps, message.fraction)

        def write(name: str, facts: TensorFacts, data: bytes) -> None:
            assert options.dump is not None  # no tensor is expected otherwise
            write_tensor(options.dump, name, facts, data)

        engine_options = EngineOptions(options.precision, options.adapter, options.verbose)
        async with open_engine(site, engine_options, show, progress.note) as engine:
            progress.note(engine.device)
            picture = await engine.make(job, show, tensors=expected_tensors(job, site.model), write=write)
        await asyncio.to_thread(write_whole, options.output, picture.png)
    finally:
        progress.close()
