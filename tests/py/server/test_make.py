"""serve.py generate for many pictures and with a running server; a real browser, the model a stand-in."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from server.fake_site import png
from server.raw_http import ROOT
from server.test_serve_api import Api, running_api

from kleinbild.server.cli import main


def generate(site: Path, cache: Path, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "serve.py"), "generate", "--site", str(site), *map(str, arguments)]
    env = os.environ | {"XDG_CACHE_HOME": str(cache)}
    return subprocess.run(command, env=env, capture_output=True, text=True, timeout=100, check=False)


def records(result: subprocess.CompletedProcess[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in result.stdout.splitlines()]


def write_batch(path: Path, *prompts: str) -> Path:
    path.write_text("".join(json.dumps({"prompt": prompt}) + "\n" for prompt in prompts))
    return path


def test_a_batch_goes_on_where_it_stopped(fake_site: Path, tmp_path: Path) -> None:
    out = tmp_path / "new" / "out"
    batch = write_batch(tmp_path / "prompts.jsonl", "a", "lost", "budget", "c")
    arguments = ("--batch", batch, "--output-dir", out, "--json", "--adapter", "software")
    first = generate(fake_site, tmp_path, *arguments)
    assert first.returncode == 1
    assert "2 made, 2 failed" in first.stderr
    assert first.stderr.count("starting another one") == 1  # for the picture that loses it, once
    assert first.stderr.splitlines()[-1] == "error: 2 of 4 pictures failed"
    assert [record["state"] for record in records(first)] == ["done", "failed", "failed", "done"]
    assert records(first)[0]["stages"] == {"transformer": 0.25}
    assert "too-large: the budget is null" in records(first)[2]["error"]
    assert sorted(path.name for path in out.iterdir()) == sorted(
        Path(record["output"]).name for record in records(first) if record["state"] == "done"
    )
    assert all(path.read_bytes() == png(64, 64) for path in out.iterdir())

    write_batch(batch, "a", "b", "c")  # now the second line can be made, and the third has moved
    second = generate(fake_site, tmp_path, *arguments)
    assert second.returncode == 0, second.stderr
    assert [record["state"] for record in records(second)] == ["there", "done", "done"]
    third = generate(fake_site, tmp_path, *arguments)
    assert [record["state"] for record in records(third)] == ["there"] * 3
    assert third.stderr == "0 made, 3 there already\n"  # no browser was started


def test_a_running_server_makes_the_pictures(fake_site: Path, tmp_path: Path) -> None:
    batch = write_batch(tmp_path / "prompts.jsonl", "a", "b")
    with running_api(fake_site, tmp_path) as api:
        api.wait("/healthz", '"ok"')
        many = generate(fake_site, tmp_path, "--batch", batch, "--output-dir", tmp_path / "out", "--json")
        assert many.returncode == 0, many.stderr
        assert f"using the server at {api.url}" in many.stderr
        assert [record["by"] for record in records(many)] == ["server", "server"]
        one = ("--prompt", "x", "--output", tmp_path / "x.png")
        single = generate(fake_site, tmp_path, *one)
        assert (single.returncode, single.stdout) == (0, "")
        lines = single.stderr.splitlines()
        assert lines[0] == f"using the server at {api.url}"
        assert lines[1].startswith(f"{tmp_path / 'x.png'}: 64x64, seed 123, 2 steps, ")
        assert len(lines) == 2
        assert (tmp_path / "x.png").read_bytes() == png(64, 64)
        for own in (("--dump", tmp_path / "dump"), ("--precision", "f32"), ("--adapter", "software")):
            refused = generate(fake_site, tmp_path, *one, *own)
            assert refused.returncode == 1
            assert f"{own[0]} is not for it" in refused.stderr
        _interrupted_generate_cancels_its_job(api, fake_site, tmp_path)


def _interrupted_generate_cancels_its_job(api: Api, site: Path, cache: Path) -> None:
    command = [sys.executable, str(ROOT / "serve.py"), "generate", "--site", str(site), "--prompt", "hang"]
    env = os.environ | {"XDG_CACHE_HOME": str(cache)}
    with subprocess.Popen(
        [*command, "--output", str(cache / "y.png")], env=env, stderr=subprocess.PIPE
    ) as process:
        watchdog = threading.Timer(60, process.kill)
        watchdog.start()
        api.wait("/metrics", "kleinbild_pictures_in_hand 1.0")
        process.send_signal(signal.SIGTERM)
        assert process.wait() == 130
        watchdog.cancel()
    api.wait("/metrics", "kleinbild_pictures_in_hand 0.0", 'state="cancelled"} 1.0')
    assert not (cache / "y.png").exists()


@pytest.mark.parametrize(
    "arguments",
    [
        ("--prompt", "x"),
        ("--output", "x.png"),
        ("--batch", "x"),
        ("--batch", "x", "--output-dir", "y", "--prompt", "x"),
        ("--batch", "x", "--output-dir", "y", "--dump", "z"),
        ("--prompt", "x", "--output", "x.png", "--output-dir", "y"),
    ],
)
def test_misuse_exits_2(arguments: tuple[str, ...]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["generate", *arguments], write_page=print, build_site=print)
    assert ended.value.code == 2
