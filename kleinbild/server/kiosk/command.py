"""serve.py kiosk from beginning to end: check, listen, keep server and browser running, end both in order."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import kleinbild
from kleinbild.errors import KleinbildError
from kleinbild.server.generate.chromium import find_chromium
from kleinbild.server.generate.profile import Profile, locked_profile
from kleinbild.server.kiosk.fields import OperatorFileError
from kleinbild.server.kiosk.flags import Screen, forget_crash, kiosk_arguments
from kleinbild.server.kiosk.gpu import find_display, find_gpu
from kleinbild.server.kiosk.keeper import Keeper, Limits, WallClock
from kleinbild.server.kiosk.notify import Notifier
from kleinbild.server.kiosk.operator_file import Operator, parse_operator_file, read_operator_file
from kleinbild.server.kiosk.options import KioskOptions, data_folder
from kleinbild.server.kiosk.server import ServerSettings
from kleinbild.server.listen import bind
from kleinbild.server.process import start_process, stop_process
from kleinbild.server.site import Site

SERVER_LIMITS = Limits(starting=30, silence=15)
BROWSER_STARTING_SECONDS = 90.0
MAX_LINE_BYTES = 1 << 16
PAGE_FILE = "kiosk.html"


class Child:
    """A started process as keeper.py wants it; `on_stop` ends what belongs to it."""

    def __init__(self, process: asyncio.subprocess.Process, *tasks: asyncio.Task[None]) -> None:
        self._process = process
        self._tasks = tasks

    async def wait(self) -> int:
        return await self._process.wait()

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await stop_process(self._process)


async def kiosk(site: Site, options: KioskOptions) -> None:
    """Run the kiosk until a signal, or the operator, ends it. Raises KleinbildError."""
    data, path = _operator_data(options)
    operator = parse_operator_file(data, path)
    if not (site.root / PAGE_FILE).is_file():
        raise KleinbildError(f"{site.root}/{PAGE_FILE}: missing; write the site again")
    gpu = find_gpu() if options.gpu == "auto" else options.gpu
    display = find_display(options.display, gpu, os.environ)
    screen = Screen(gpu, display, options.windowed, options.size, options.scale, options.debug_port)
    executable = find_chromium(os.environ)
    lan = _lan_socket(operator, options.take_home)
    sockets = bind("127.0.0.1", options.port or 0)
    folder = options.profile or data_folder(os.environ)
    async with locked_profile(folder, _note) as profile:
        settings = ServerSettings(
            site.root.resolve(),
            data,
            path,
            tuple(sock.fileno() for sock in sockets),
            lan.fileno() if lan else None,
            options.verbose,
        )
        held = [*sockets, *([lan] if lan else [])]
        limits = Limits(starting=BROWSER_STARTING_SECONDS, silence=options.page_timeout)
        await _Kiosk(settings, held, _Browser(executable, screen, profile, limits), site.build).run()


@dataclass(frozen=True)
class _Browser:
    """Which browser, and how it is shown and kept."""

    executable: str
    screen: Screen
    profile: Profile
    limits: Limits


class _Kiosk:
    """The two keepers, and what server and browser tell each other through them."""

    def __init__(
        self, settings: ServerSettings, sockets: list[socket.socket], browser: _Browser, build: str
    ) -> None:
        """`sockets` are those whose descriptors `settings` names, the site's first; they stay open."""
        self._settings = settings
        self._sockets = sockets
        self._how = browser
        self._build = build
        self._port = sockets[0].getsockname()[1]
        self._stdin: asyncio.StreamWriter | None = None
        self._done = asyncio.Event()
        clock = WallClock()
        self._server = Keeper("server", self._start_server, SERVER_LIMITS, clock, _note)
        self._browser = Keeper("browser", self._start_browser, browser.limits, clock, _note)
        self._notifier = Notifier(os.environ)

    async def run(self) -> None:
        """Until a signal or the operator ends it. Raises GaveUp."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, self._done.set)
        _note(f"kiosk on 127.0.0.1:{self._port}, GPU {self._how.screen.gpu}, {self._how.screen.display}")
        self._notifier.ready(f"showing build {self._build}")
        tasks: list[asyncio.Task[Any]] = [
            asyncio.create_task(self._server.run()),
            asyncio.create_task(self._browser.run()),
            asyncio.create_task(self._feed_watchdog()),
        ]
        tasks.append(asyncio.create_task(self._done.wait()))
        try:
            ended, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in ended:
                task.result()
        finally:
            self._notifier.stopping()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _feed_watchdog(self) -> None:
        seconds = self._notifier.watchdog_seconds
        while True:
            self._notifier.lives()
            await asyncio.sleep(seconds or 3600)

    async def _start_server(self) -> Child:
        source = str(Path(kleinbild.__file__).resolve().parents[1])
        paths = [source, *filter(None, [os.environ.get("PYTHONPATH")])]
        process = await start_process(
            sys.executable,
            ["-m", "kleinbild.server.kiosk.server"],
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            pass_fds=[sock.fileno() for sock in self._sockets],
            environ={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
        )
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(self._settings.to_line())
        self._stdin = process.stdin
        self._tell_status()
        # A page whose server was away could not tell that it lives.
        self._browser.excuse()
        return Child(process, asyncio.create_task(self._listen(process.stdout)))

    async def _start_browser(self) -> Child:
        profile = self._how.profile
        await asyncio.to_thread(forget_crash, profile.path)
        self._tell_status()
        arguments = kiosk_arguments(profile.path, self._port, self._how.screen)
        return Child(await start_process(self._how.executable, arguments, pass_fds=(profile.lock,)))

    async def _listen(self, stdout: asyncio.StreamReader) -> None:
        """Take what the server tells, until it ends."""
        actions: Mapping[str, Callable[[], None]] = {
            "tick": lambda: None,
            "alive": self._browser.alive,
            "fresh-browser": lambda: self._browser.fail(
                "its page cannot use the GPU and asked for a new one"
            ),
            "restart": self._restart,
            "leave": self._done.set,
        }
        with contextlib.suppress(ValueError):  # a line too long, or no JSON: it will be missed, and restarted
            while line := await stdout.readline():
                message = json.loads(line)
                self._server.alive()
                if message["type"] == "note":
                    _note(message["text"])
                else:
                    actions[message["type"]]()

    def _restart(self) -> None:
        """The operator wants both anew."""
        self._server.restart()
        self._browser.restart()

    def _tell_status(self) -> None:
        """Tell the server what only we know, for the operator's view."""
        status: dict[str, Any] = {
            "version": kleinbild.__version__,
            "build": self._build,
            "gpu": self._how.screen.gpu,
            "display": self._how.screen.display,
            "server_restarts": self._server.restarts,
            "browser_restarts": self._browser.restarts,
            "browser_reason": self._browser.last_reason,
        }
        if self._stdin is not None and not self._stdin.is_closing():
            self._stdin.write(json.dumps(status).encode() + b"\n")


def _operator_data(options: KioskOptions) -> tuple[bytes, Path]:
    """The operator file's contents and path; without one, an empty one here."""
    if options.operator is None:
        return b"{}", Path.cwd() / "operator.json"
    path = options.operator.absolute()
    return read_operator_file(path), path


def _lan_socket(operator: Operator, wanted: bool) -> socket.socket | None:
    """The listener for taking home; None when it is turned off. Raises KleinbildError."""
    if not wanted:
        return None
    limits = operator.take_home
    if limits is None:
        raise OperatorFileError("--take-home: the operator file has no take_home with the address to use")
    try:
        family = socket.AF_INET if limits.address.version == 4 else socket.AF_INET6
        return socket.create_server((str(limits.address), limits.port), family=family)
    except OSError as error:
        raise KleinbildError(
            f"take_home: cannot listen on {limits.address} port {limits.port}: {error.strerror}; is that an "
            "address of this machine, and the port free?"
        ) from None


def _note(line: str) -> None:
    print(f"kiosk: {line}" if not line.startswith("kiosk") else line, file=sys.stderr, flush=True)


def hash_pin(ask: Callable[[str], str]) -> str:
    """The line for the operator file, of a PIN that `ask` gets from the operator. Raises KleinbildError."""
    from kleinbild.server.kiosk.pin import MAX_PIN_DIGITS, MIN_PIN_DIGITS, PinHash  # noqa: PLC0415

    pin = ask("PIN: ").strip()
    if not (pin.isascii() and pin.isdigit() and MIN_PIN_DIGITS <= len(pin) <= MAX_PIN_DIGITS):
        raise KleinbildError(f"a PIN has {MIN_PIN_DIGITS} to {MAX_PIN_DIGITS} digits")
    return json.dumps({"pin_hash": str(PinHash.of(pin))})[1:-1]
