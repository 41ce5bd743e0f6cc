"""/healthz says what is served, and notices when it breaks."""

from __future__ import annotations

import json
from pathlib import Path

from server.fake_site import write_fake_site
from server.raw_http import Server, running_server


def test_health(server: Server) -> None:
    answer = server.get("/healthz")
    assert answer.status == 200
    assert answer.headers["content-type"].startswith("application/json")
    assert answer.headers["cache-control"] == "no-cache"
    assert json.loads(answer.body) == {"status": "ok", "build": "b1", "models": ["fake"]}
    assert server.get("/healthz", method="HEAD").body == b""


def test_health_of_a_site_that_lost_a_shard(tmp_path: Path) -> None:
    site = write_fake_site(tmp_path / "dist")
    with running_server(site) as server:
        shard = next((site / "w").glob("*.bin"))
        shard.unlink()
        answer = server.get("/healthz")
    assert answer.status == 503
    record = json.loads(answer.body)
    assert record["status"] == "broken"
    assert shard.name in record["error"]
