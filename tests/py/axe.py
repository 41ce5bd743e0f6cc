"""axe-core on a page of ours: what a machine can find of what keeps people out.

It runs in an isolated world of the page: neither the Content-Security-Policy nor Trusted Types have to be
loosened for the test, and the page does not see it.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from playwright.sync_api import Page

AXE = Path(__file__).parents[2] / "node_modules" / "axe-core" / "axe.min.js"
# Until it has faded in, what comes has contrasts that nobody is meant to read by.
FADED = """Promise.allSettled(document.getAnimations().filter(({ effect }) => (
  effect.getComputedTiming().endTime < Infinity && effect.getKeyframes().some((frame) => "opacity" in frame)
)).map(({ finished }) => finished)).then(() => null)"""
RUN = """axe.run(document, { resultTypes: ["violations"] }).then(({ violations }) => violations.flatMap(
  ({ id, help, nodes }) => nodes.map(({ target, any, all, none }) => [
    id, help, target.join(" "), ...[...any, ...all, ...none].map(({ message }) => message),
  ].join(": "))))"""


@cache
def _source() -> str:
    return AXE.read_text(encoding="utf-8")


def violations(page: Page) -> list[str]:
    """Every violation of axe-core's rules, one line each: WCAG 2.2 A and AA, and its best practices."""
    session = page.context.new_cdp_session(page)
    try:
        frame = session.send("Page.getFrameTree")["frameTree"]["frame"]["id"]
        world = session.send("Page.createIsolatedWorld", {"frameId": frame, "worldName": "axe"})
        _evaluate(session, world["executionContextId"], _source() + ";0")
        _evaluate(session, world["executionContextId"], FADED)
        found: list[str] = _evaluate(session, world["executionContextId"], RUN)
        return found
    finally:
        session.detach()


def _evaluate(session: Any, context: int, expression: str) -> Any:
    answer = session.send(
        "Runtime.evaluate",
        {"expression": expression, "contextId": context, "awaitPromise": True, "returnByValue": True},
    )
    assert "exceptionDetails" not in answer, answer["exceptionDetails"]
    return answer["result"].get("value")
