"""The worker in Chromium: previews, and what real machines do to GPU and worker amid a picture."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser
from runtime_visit import Runtime, Told, runtime
from server.raw_http import Server

# Of the small model, whose decoder is dear beside its steps: so many until its first preview.
STEPS_OF_PREVIEW = 7


@pytest.fixture(scope="module")
def one(browser: Browser, tiny_site: Path, serve: Callable[[Path], Server]) -> Iterator[Runtime]:
    """The small model, started once for all tests of this file."""
    with runtime(browser, f"http://{serve(tiny_site).authority}") as started:
        yield started


@pytest.fixture(scope="module")
def plain(one: Runtime) -> Told:
    """An undisturbed picture."""
    told = one.make()
    assert told["message"] == ""
    assert told["previews"] == []
    return told


def test_previews_come_when_asked_for(one: Runtime) -> None:
    told = one.make(steps=STEPS_OF_PREVIEW + 1, preview=True)
    assert told["message"] == ""
    assert told["previews"] == [[STEPS_OF_PREVIEW, 16, 16, 16 * 16 * 4]]


def test_a_picture_outlives_its_gpu_bit_for_bit(one: Runtime, plain: Told) -> None:
    before = one.devices
    one.sabotage("lose", step=2)
    told = one.make()
    assert told["digest"] == plain["digest"]
    [(step, losses)] = told["resumed"]
    assert losses == 1
    assert 1 <= step <= 2
    assert one.devices == before + 1
    assert told["stages"].count("loading") == 1
    assert told["fractions"] == sorted(told["fractions"])


def test_three_losses_are_told_and_the_next_picture_is_made(one: Runtime, plain: Told) -> None:
    one.sabotage("lose", step=1, times=3)
    told = one.make()
    assert told["code"] == "device-lost"
    assert told["message"].startswith("The GPU stopped 3 times while this picture was made")
    assert [losses for _, losses in told["resumed"]] == [1, 2]
    again = one.make()
    assert (again["digest"], again["resumed"]) == (plain["digest"], [])


def test_a_cancel_inside_a_step_keeps_the_gpu_and_the_model(one: Runtime, plain: Told) -> None:
    before = one.devices
    cancelled = one.make(steps=100, cancelAt=1)
    assert (cancelled["code"], cancelled["digest"]) == ("cancelled", "")
    assert 1 - cancelled["fractions"][-1] > 0.5, "it did not run to its end"
    again = one.make()
    assert again["digest"] == plain["digest"]
    assert "loading" not in again["stages"]
    assert one.devices == before


def test_nothing_is_left_of_a_picture(one: Runtime, plain: Told) -> None:
    held = []
    for made in range(1, 13):
        assert one.make(seed=made, steps=2, preview=made % 2 == 0)["message"] == ""
        if made in (3, 12):
            held.append(one.usage())
    assert held[0] == held[1]
    assert held[0]["bytes"] > 0
    assert (held[0]["bindGroups"], held[0]["reads"]) == (0, 0)


def test_a_worker_that_crashes_is_replaced(one: Runtime, plain: Told) -> None:
    one.sabotage("crash", step=1)
    told = one.make()
    assert told["code"] == "worker-lost"
    assert "sabotage" in told["message"]
    again = one.make()
    assert again["digest"] == plain["digest"]
    assert one.devices == 1, "a new worker has its own"
