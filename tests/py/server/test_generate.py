"""serve.py generate with a real browser and a stand-in for the model: results, refusals, no browser left.

The real model's pictures are compared in tests/browser/test_generate.py.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from server.fake_site import CHANNELS, PROMPT_WIDTH, TEXT_ROWS, png
from server.raw_http import ROOT

MARK = "KLEINBILD_TEST_RUN"


class Runner:
    """Runs generate with a cache folder of its own, and a mark by which its processes are found."""

    def __init__(self, site: Path, folder: Path) -> None:
        self.site = site
        self.folder = folder
        self.mark = uuid.uuid4().hex
        self.environ = os.environ | {MARK: self.mark, "XDG_CACHE_HOME": str(folder / "cache")}
        self.output = folder / "out.png"
        self.sessions: set[int] = set()

    def command(self, *arguments: str | Path) -> list[str]:
        return [
            sys.executable,
            str(ROOT / "serve.py"),
            "generate",
            *("--site", str(self.site), "--output", str(self.output), "--adapter", "software"),
            *map(str, arguments),
        ]

    def run(self, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.command(*arguments),
            env=self.environ,
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )

    @contextmanager
    def start(self, *arguments: str | Path) -> Iterator[subprocess.Popen[str]]:
        command = self.command(*arguments)
        with subprocess.Popen(command, env=self.environ, stderr=subprocess.PIPE, text=True) as process:
            try:
                yield process
            finally:
                process.kill()

    def processes(self) -> list[int]:
        """Ids of all living processes that this runner's commands started, at whatever distance.

        Chromium writes its process titles over the environment of some helpers, but none leaves the session.
        """
        wanted = f"{MARK}={self.mark}".encode()
        sessions: dict[int, int] = {}
        found = set()
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                state, _, _, session = stat_fields(int(folder.name))[:4]
                if state == "Z":
                    continue
                sessions[int(folder.name)] = int(session)
                if wanted in (folder / "environ").read_bytes():
                    found.add(int(folder.name))
            except OSError:
                continue  # gone meanwhile, or not ours to read
        self.sessions |= {sessions[process] for process in found} - {os.getsid(0)}
        return sorted(found | {process for process, session in sessions.items() if session in self.sessions})


@pytest.fixture
def runner(fake_site: Path, tmp_path: Path) -> Iterator[Runner]:
    made = Runner(fake_site, tmp_path)
    yield made
    end = time.monotonic() + 15  # what a killed browser leaves ends by itself, on a busy machine not at once
    while (left := made.processes()) and time.monotonic() < end:
        time.sleep(0.1)
    for process in left:
        os.kill(process, signal.SIGKILL)
    assert left == []


def wait_for(condition: Callable[[], bool], seconds: float = 15.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.05)


def wait_for_line(process: subprocess.Popen[str], word: str) -> None:
    assert process.stderr is not None
    for line in process.stderr:
        if word in line:
            return
    raise AssertionError(f"{word!r} was not said")


def test_picture_and_tensors(runner: Runner) -> None:
    latents = np.random.default_rng(3).standard_normal((CHANNELS, 4, 4)).astype(np.float32)
    np.save(runner.folder / "l.npy", latents)
    dump = runner.folder / "a" / "dump"
    dump.mkdir(parents=True)
    (dump / "latents_7.npy").write_text("of an earlier run")
    (dump / "notes.txt").write_text("mine")
    result = runner.run(
        "--prompt",
        "hello",
        "--seed",
        str(2**64 - 1),
        "--width",
        "70",
        "--latents",
        runner.folder / "l.npy",
        "--dump",
        dump,
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout == ""
    assert "--width 70 is no multiple of 16: using 64" in result.stderr
    assert runner.output.read_bytes() == png(64, 64)
    assert runner.output.stat().st_mode & 0o777 == 0o666 & ~umask()
    names = [
        "attention_mask",
        "decoded",
        "image",
        "input_ids",
        "latents_0",
        "latents_1",
        "prompt_embeds",
        "sigmas",
    ]
    assert sorted(p.name for p in dump.iterdir()) == sorted([*(f"{n}.npy" for n in names), "notes.txt"])
    arrays = {name: np.load(dump / f"{name}.npy", allow_pickle=False) for name in names}
    assert np.array_equal(arrays["input_ids"], np.arange(TEXT_ROWS))
    assert arrays["prompt_embeds"].shape == (TEXT_ROWS, PROMPT_WIDTH)
    assert arrays["sigmas"].shape == (3,)
    assert np.array_equal(
        arrays["latents_0"].ravel(), latents.ravel()
    )  # the bytes reached the page and came back
    assert arrays["decoded"].dtype == np.float32
    assert arrays["decoded"].shape == (3, 64, 64)
    assert arrays["image"].dtype == np.uint8
    assert (arrays["image"] == (2**64 - 1) % 251).all()  # so did all 64 bits of the seed


def umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


@pytest.mark.parametrize(
    ("prompt", "word"),
    [
        ("no gpu", "--adapter software"),
        ("bad type", "internal: TypeError: line one line two"),
        ("fault", "internal: Error: stray"),
        ("short trace", "tensor decoded did not come"),
    ],
)
def test_page_errors_are_one_line(runner: Runner, prompt: str, word: str) -> None:
    result = runner.run("--prompt", prompt, "--dump", runner.folder / "dump")
    assert result.returncode == 1
    assert word in result.stderr.splitlines()[-1]
    assert result.stderr.splitlines()[-1].startswith("error: ")
    assert not runner.output.exists()


def test_the_memory_budget_reaches_the_page(runner: Runner) -> None:
    result = runner.run("--prompt", "budget", "--memory-budget", "2.5")
    assert result.returncode == 1
    assert "the budget is 2500000000" in result.stderr.splitlines()[-1]


def test_picture_of_the_wrong_size_is_refused(runner: Runner) -> None:
    result = runner.run("--prompt", "x", "--width", "80")
    assert result.returncode == 1
    assert "80x64" in result.stderr
    assert not runner.output.exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
def test_no_browser_outlives_the_command(runner: Runner, number: signal.Signals) -> None:
    with runner.start("--prompt", "hang") as process:
        wait_for_line(process, "stand-in")
        assert any(is_renderer(p) for p in runner.processes())  # the count below would see it
        process.send_signal(number)
        status = process.wait(40)
    assert status == (-signal.SIGKILL if number == signal.SIGKILL else 130)
    wait_for(lambda: runner.processes() == [])
    assert runner.run("--prompt", "again").returncode == 0


def is_renderer(process: int) -> bool:
    return b"--type=renderer" in Path(f"/proc/{process}/cmdline").read_bytes()


def test_killed_browser_is_told(runner: Runner) -> None:
    with runner.start("--prompt", "hang") as process:
        wait_for_line(process, "stand-in")
        browser = next(p for p in runner.processes() if int(stat_fields(p)[1]) == process.pid)
        os.kill(browser, signal.SIGKILL)
        _, stderr = process.communicate(timeout=20)
    assert process.returncode == 1
    assert stderr.splitlines()[-1].startswith("error: ")
    wait_for(lambda: runner.processes() == [])


def test_killed_page_is_told(runner: Runner) -> None:
    with runner.start("--prompt", "hang") as process:
        wait_for_line(process, "stand-in")
        for renderer in filter(is_renderer, runner.processes()):
            os.kill(renderer, signal.SIGKILL)
        _, stderr = process.communicate(timeout=20)
    assert process.returncode == 1
    assert "the page went away" in stderr


def stat_fields(process: int) -> list[str]:
    """state, parent, group, session, ... of a process."""
    return Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()


def test_second_run_waits_for_the_first(runner: Runner) -> None:
    with runner.start("--prompt", "hang") as first:
        wait_for_line(first, "stand-in")
        with runner.start("--prompt", "x") as second:
            wait_for_line(second, "waiting")
            first.terminate()
            assert first.wait(15) == 130
            second.communicate(timeout=60)
            assert second.returncode == 0


def test_wrapper_script_as_browser(runner: Runner) -> None:
    wrapper = runner.folder / "wrapper"
    wrapper.write_text('#!/bin/sh\n"$REAL_BROWSER" "$@"\necho done\n')
    wrapper.chmod(0o755)
    real = os.environ.get("CHROMIUM", "/usr/bin/chromium")
    runner.environ |= {"CHROMIUM": str(wrapper), "REAL_BROWSER": real}
    assert runner.run("--prompt", "x").returncode == 0
    with runner.start("--prompt", "hang") as process:
        wait_for_line(process, "stand-in")
        process.kill()
    wait_for(lambda: runner.processes() == [])


@pytest.mark.parametrize(
    ("script", "word"),
    [
        ("echo no display today >&2; exit 3", "status 3; its last words: no display today"),
        ("exit 0", "status 0"),
    ],
)
def test_browser_that_ends_at_once(runner: Runner, script: str, word: str) -> None:
    fake = runner.folder / "fake"
    fake.write_text(f"#!/bin/sh\n{script}\n")
    fake.chmod(0o755)
    runner.environ["CHROMIUM"] = str(fake)
    result = runner.run("--prompt", "x")
    assert result.returncode == 1
    assert word in result.stderr


def test_no_browser_at_all(runner: Runner) -> None:
    runner.environ["CHROMIUM"] = "/nowhere/chromium"
    assert (
        runner.run("--prompt", "x").stderr == "error: $CHROMIUM is /nowhere/chromium, which is no program\n"
    )
    del runner.environ["CHROMIUM"]
    runner.environ["PATH"] = str(runner.folder)
    result = runner.run("--prompt", "x")
    assert result.returncode == 1
    assert result.stderr.startswith("error: no Chromium found")


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (("--width", "0"), "--width"),
        (("--num-steps", "0"), "--num-steps"),
        (("--num-steps", "1000"), "--num-steps"),
        (("--seed", "-1"), "--seed"),
        (("--latents", "missing.npy"), "--latents"),
        (("--output", "/nowhere/x.png"), "/nowhere"),
        (("--output", "/"), "folder"),
        (("--output", "/proc/x.png"), "/proc"),
        (("--dump", "/proc/dump"), "--dump"),
        (("--dump", "/dev/null"), "--dump"),
    ],
)
def test_refused_before_the_browser_starts(runner: Runner, arguments: tuple[str, ...], word: str) -> None:
    runner.environ["CHROMIUM"] = "/bin/false"
    result = runner.run("--prompt", "x", *arguments)
    assert result.returncode == 1
    assert result.stderr.startswith("error: ")
    assert result.stderr.count("\n") == 1
    assert word in result.stderr


@pytest.mark.parametrize(
    ("limit", "browser", "word"),
    [
        (
            "page_session.CONNECT_SECONDS",
            "#!/bin/sh\necho 'INFO:CONSOLE(1) no module' >&2\nsleep 60\n",
            "no module",
        ),
        ("page_session.STALL_SECONDS", "", "silent for 0 minutes"),
    ],
)
def test_time_limits(runner: Runner, limit: str, browser: str, word: str) -> None:
    if browser:
        fake = runner.folder / "fake"
        fake.write_text(browser)
        fake.chmod(0o755)
        runner.environ["CHROMIUM"] = str(fake)
    module, _, name = limit.partition(".")
    script = (
        f"import sys; from kleinbild.server.generate import {module}; {module}.{name} = 2.0\n"
        "from kleinbild.server.cli import main\n"
        "sys.exit(main(sys.argv[1:], write_page=print, build_site=print))"
    )
    command = [sys.executable, "-c", script, *runner.command("--prompt", "hang")[2:]]
    result = subprocess.run(
        command, env=runner.environ, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert result.returncode == 1
    assert result.stderr.splitlines()[-1].startswith("error: ")
    assert word in result.stderr
