"""The picture server under a crowd: is every request answered, how fast, at what overhead and memory?

Run by hand on a packaged site: `python tests/bench/api_stress.py --site dist`. It makes pictures back to back
in one engine without the API, then through a server: one after another (overhead, also over the time that the
page itself tells), by many clients at once (throughput), cancelled (latency), and by many clients of mixed
faces of which some cancel and some go away, while the browser is killed twice (nothing lost, memory level).
Small pictures show the server, not the GPU: that is what is measured.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import random
import signal
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp

from kleinbild.server.generate.engine import EngineOptions, open_engine
from kleinbild.server.generate.request import Job
from kleinbild.server.site import open_site

ROOT = Path(__file__).parents[2]
PROMPTS = [f"picture number {i}" for i in range(8)]


@dataclass
class Crowd:
    """Who asks the server at `url` for pictures of `side` pixels, and what became of the requests."""

    url: str
    side: int
    outcomes: Counter[str] = field(default_factory=Counter)
    accepted: int = 0
    queue_full: int = 0
    done: int = 0


def body(number: int, side: int) -> dict[str, Any]:
    """The request of picture `number`."""
    size = {"width": side, "height": side}
    return {"prompt": PROMPTS[number % len(PROMPTS)], "seed": number, "steps": 1} | size


async def back_to_back(site: Path, count: int, side: int, adapter: str) -> tuple[float, float, str]:
    """Seconds a picture of `count` made one after another without the API, of them stages; and the GPU."""
    options = EngineOptions("auto", adapter, False)
    stages = 0.0
    async with open_engine(open_site(site), options, lambda _: None, lambda _: None) as engine:
        for number in range(-len(PROMPTS), count):
            if number == 0:
                began = time.monotonic()
                stages = 0.0
            asked = body(number, side)
            asked["seed"] = abs(number)
            job = Job(**asked, latents=None, memory_budget=None, trace=False)
            stages += sum((await engine.make(job, lambda _: None)).seconds.values())
        return (time.monotonic() - began) / count, stages / count, engine.device


@asynccontextmanager
async def server(site: Path, adapter: str) -> AsyncIterator[tuple[str, int]]:
    """Address and process of a `serve.py --api` that is ready."""
    command = [str(ROOT / "serve.py"), "--site", str(site), "--port", "0", "--api", "--adapter", adapter]
    process = await asyncio.create_subprocess_exec(
        sys.executable, *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL
    )
    try:
        assert process.stdout is not None
        url = (await process.stdout.readline()).decode().strip().rstrip("/")
        async with aiohttp.ClientSession() as session:
            while True:
                async with session.get(f"{url}/healthz") as answer:
                    if (await answer.json())["status"] == "ok":
                        break
                await asyncio.sleep(0.1)
        yield url, process.pid
    finally:
        process.terminate()
        await process.wait()


async def ask(session: aiohttp.ClientSession, crowd: Crowd, number: int) -> str:
    """One picture over the face that `number` picks, refused requests asked again; "answered" or a code."""
    face, url, side = number % 3, crowd.url, crowd.side
    asked = body(number, side)
    if face == 0:
        path, payload = "/jobs", asked
    elif face == 1:
        size = f"{side}x{side}"
        path = "/v1/images/generations"
        payload = {"prompt": asked["prompt"], "seed": number, "steps": 1, "size": size}
        payload["response_format"] = "b64_json"
    else:
        path, payload = "/sdapi/v1/txt2img", asked
    while True:
        async with session.post(url + path, json=payload) as answer:
            record = await answer.json()
            if answer.status == 429:
                crowd.queue_full += 1
                await asyncio.sleep(int(answer.headers["Retry-After"]) * random.uniform(0.5, 1.0))
                continue
            crowd.accepted += 1
            if face != 0 or answer.status != 202:
                return "answered" if answer.status == 200 else json.dumps(record)[:200]
        job = record["id"]
        async with session.get(f"{url}/jobs/{job}/events") as events:
            last = [line async for line in events.content if line.startswith(b"data: ")][-1]
        state = json.loads(last.removeprefix(b"data: "))["state"]
        if state != "done":
            return str(state)
        async with session.get(f"{url}/jobs/{job}/picture") as picture:
            return "answered" if (await picture.read()).startswith(b"\x89PNG") else "no picture"


async def one(session: aiohttp.ClientSession, crowd: Crowd, number: int, wild: bool) -> None:
    """One request; of the `wild` ones a tenth is cancelled and a tenth is dropped."""
    fate = random.random() if wild else 1.0
    if fate < 0.1:
        asked = body(number, crowd.side) | {"steps": 100}
        async with session.post(f"{crowd.url}/jobs", json=asked) as answer:
            record = await answer.json()
        if answer.status == 202:
            crowd.accepted += 1
            await asyncio.sleep(random.random() * 0.3)
            async with session.delete(f"{crowd.url}/jobs/{record['id']}") as answer:
                crowd.outcomes["cancelled" if answer.status == 200 else "?"] += 1
        else:
            crowd.outcomes["refused"] += 1
    elif fate < 0.2:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(ask(session, crowd, 3 * number + 1), random.random() * 0.3)
        crowd.outcomes["dropped"] += 1
    else:
        crowd.outcomes[await ask(session, crowd, number)] += 1
    crowd.done += 1


async def many(crowd: Crowd, clients: int, total: int, wild: bool) -> float:
    """Seconds that `clients` take for `total` requests."""
    numbers = iter(range(total))
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:

        async def client() -> None:
            for number in numbers:
                await one(session, crowd, number, wild)

        began = time.monotonic()
        await asyncio.gather(*(client() for _ in range(clients)))
        return time.monotonic() - began


def processes(server_id: int) -> tuple[int, list[int]]:
    """The server's browser, and all processes of its session."""
    found: list[int] = []
    main = 0
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            fields = (folder / "stat").read_text().rsplit(")", 1)[1].split()
            if int(fields[1]) == server_id and fields[0] != "Z":
                main = int(folder.name)
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            fields = (folder / "stat").read_text().rsplit(")", 1)[1].split()
            if int(fields[3]) == main:
                found.append(int(folder.name))
    return main, found


def megabytes(ids: list[int]) -> float:
    """Their proportional memory."""
    total = 0
    for process in ids:
        with contextlib.suppress(OSError):
            for line in Path(f"/proc/{process}/smaps_rollup").read_text().splitlines():
                if line.startswith("Pss:"):
                    total += int(line.split()[1])
    return total / 1024


async def killer(server_id: int, crowd: Crowd, total: int, kills: int) -> None:
    """Kills the browser when 1, 2, ... parts of `kills` + 1 of the requests are over."""
    for kill in range(1, kills + 1):
        while crowd.done < total * kill / (kills + 1):
            await asyncio.sleep(0.01)
        while not (main := processes(server_id)[0]):
            await asyncio.sleep(0.01)
        os.kill(main, signal.SIGKILL)
        print(f"  killed the browser after {crowd.done} requests", flush=True)


async def cancel_latency(url: str, tries: int, side: int) -> list[float]:
    """Seconds from DELETE of a running job to the page's word that it has stopped."""
    found = []
    async with aiohttp.ClientSession() as session:
        for number in range(tries):
            asked = body(number, side) | {"steps": 100}
            async with session.post(f"{url}/jobs", json=asked) as answer:
                path = f"{url}/jobs/{(await answer.json())['id']}"
            async with session.get(f"{path}/events") as events:
                async for line in events.content:
                    if b'"transformer"' in line:
                        break
            began = time.monotonic()
            async with session.delete(path) as answer:
                state = (await answer.json())["state"]
            if state == "cancelled":
                found.append(time.monotonic() - began)
    return found


async def over_the_page(url: str, count: int, side: int, steps: int) -> list[tuple[float, float]]:
    """(seconds from request to the picture's last byte, those of the page's stages) of `count` pictures."""
    found = []
    async with aiohttp.ClientSession() as session:
        for number in range(-2, count):  # the first ones learn kernels and prompts
            asked = {"prompt": "over the page", "seed": abs(number), "width": side, "height": side}
            began = time.monotonic()
            async with session.post(f"{url}/jobs", json=asked | {"steps": steps}) as answer:
                path = f"{url}/jobs/{(await answer.json())['id']}"
            async with session.get(f"{path}/events") as events:
                last = [line async for line in events.content if line.startswith(b"data: ")][-1]
            async with session.get(f"{path}/picture") as picture:
                await picture.read()
            took = time.monotonic() - began
            found.append((took, sum(json.loads(last.removeprefix(b"data: "))["seconds"].values())))
    return found[2:]


async def pictures_ended(url: str) -> int:
    """Tickets that the server says have ended."""
    async with aiohttp.ClientSession() as session, session.get(f"{url}/metrics") as answer:
        lines = (await answer.text()).splitlines()
    return sum(int(float(line.split()[-1])) for line in lines if line.startswith("kleinbild_pictures_total{"))


async def run(options: argparse.Namespace) -> int:
    """All phases; 1 when a request was lost."""
    side, adapter = options.side, options.adapter
    bare, stages, device = await back_to_back(options.site, options.sequence, side, adapter)
    print(f"on {device}")
    print(
        f"back to back without the API: {bare * 1000:.1f} ms a picture, {stages * 1000:.1f} ms of it stages"
    )
    async with server(options.site, adapter) as (url, process):
        quiet = Crowd(url, side)
        await many(quiet, 1, len(PROMPTS), False)
        alone = await many(quiet, 1, options.sequence, False) / options.sequence
        print(f"one client: {alone * 1000:.1f} ms a picture, {(alone - bare) * 1000:+.1f} ms over none")
        crowded = await many(quiet, options.clients, options.sequence, False) / options.sequence
        print(
            f"{options.clients} clients: {crowded * 1000:.1f} ms a picture, {bare / crowded:.0%} of its speed"
        )
        figures = {
            "device": device,
            "side": side,
            "back_to_back_ms": 1000 * bare,
            "one_client_ms": 1000 * alone,
            "many_clients_share_of_speed": bare / crowded,
        }
        for kind_side, steps in ((side, 1), (options.picture_side, options.picture_steps)):
            times = await over_the_page(url, max(3, options.sequence // 4), kind_side, steps)
            more = statistics.median(whole - own for whole, own in times)
            share = more / statistics.median(own for _, own in times)
            what = f"{kind_side}x{kind_side}, {steps} steps"
            print(f"over the page's own time, {what}: median {more * 1000:+.1f} ms, {share:+.1%}")
            figures[f"over_page_ms {what}"], figures[f"over_page_share {what}"] = 1000 * more, share
        delays = await cancel_latency(url, 10, options.picture_side)
        if delays:
            middle, worst = statistics.median(delays), max(delays)
            print(f"cancel: median {middle * 1000:.0f} ms, worst {worst * 1000:.0f} ms")
            figures["cancel_median_ms"], figures["cancel_worst_ms"] = 1000 * middle, 1000 * worst
        if options.json:
            options.json.write_text(json.dumps(figures, indent=2) + "\n")
        if not options.requests:
            return 0
        crowd = Crowd(url, side)
        before = await pictures_ended(url)
        memory = [(megabytes([process]), megabytes(processes(process)[1]))]
        killing = asyncio.create_task(killer(process, crowd, options.requests, options.kills))
        seconds = await many(crowd, options.clients, options.requests, True)
        await killing
        memory.append((megabytes([process]), megabytes(processes(process)[1])))
        settled = Crowd(url, side)
        again = options.requests // 4
        await many(settled, options.clients, again, True)
        memory.append((megabytes([process]), megabytes(processes(process)[1])))
        print(f"wild crowd: {options.requests} requests in {seconds:.1f} s: {dict(crowd.outcomes)}")
        print(f"  refused with 429 and asked again: {crowd.queue_full}")
        print(f"  {again} more, nobody killed: {dict(settled.outcomes)}")
        for when, (own, browser) in zip(("before", "after", "after more"), memory, strict=True):
            print(f"  memory {when}: server {own:.0f} MB, browser {browser:.0f} MB")
        ended = await pictures_ended(url) - before
        told = sum((crowd.outcomes + settled.outcomes).values())
        print(f"  tickets that ended: {ended}; accepted and told so: {crowd.accepted + settled.accepted}")
    return int(told != options.requests + again)


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--site", type=Path, default=Path("dist"))
    parser.add_argument("--requests", type=int, default=200, help="of the wild crowd; 0: no crowd")
    parser.add_argument("--clients", type=int, default=20)
    parser.add_argument("--kills", type=int, default=2)
    parser.add_argument("--sequence", type=int, default=60, help="pictures of a timed sequence")
    parser.add_argument("--side", type=int, default=16)
    parser.add_argument("--picture-side", type=int, default=64, help="of the larger picture, and of cancels")
    parser.add_argument("--picture-steps", type=int, default=4)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures, too")
    parser.add_argument("--adapter", choices=("auto", "hardware", "software"), default="auto")
    with tempfile.TemporaryDirectory() as cache:
        os.environ["XDG_CACHE_HOME"] = cache
        return asyncio.run(run(parser.parse_args()))


if __name__ == "__main__":
    sys.exit(main())
