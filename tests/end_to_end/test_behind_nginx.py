"""The configuration for nginx that docs/live.md gives, run as it is there, before a live map."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx
import pytest
from asking import CountingEngine
from serving import running
from waiting import PATIENCE, wait_until

from geo2map import Engine
from geo2map.api.serving import open_live
from geo2map.live import LiveMap, ServedSite
from geo2map.live.app import make_app

NGINX = shutil.which("nginx", path="/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin:/sbin")
DOCUMENT = Path(__file__).parents[2] / "docs" / "live.md"
ADDRESS = "https://maps.example.org/town"
CONFIGURATION = """
daemon off; master_process off; worker_processes 1;
pid {folder}/pid; error_log {folder}/errors;
events {{ worker_connections 64; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
    {zone}
    server {{
        listen unix:{folder}/socket;
        {location}
    }}
}}
"""
"""Around what the page gives; listens at a file, so that no port can be taken."""


def documented(port: int) -> dict[str, str]:
    """The page's `location`, and the zone that a remark in it names."""
    found = re.search(r"```nginx\n(.*?)```", DOCUMENT.read_text(encoding="utf-8"), re.DOTALL)
    assert found
    zone = re.search(r"# with: (limit_conn_zone .*;)", found[1])
    assert zone
    location = found[1].replace("127.0.0.1:8000", f"127.0.0.1:{port}")
    assert location != found[1]
    return {"zone": zone[1], "location": location}


@contextmanager
def serving(live: LiveMap) -> Iterator[int]:
    """The port of a server of a live map."""
    site = ServedSite(
        map=live.layers["map"], further={"source": live.layers["source"]}, live=live, tally=live.tally, address=ADDRESS
    )
    with running(make_app(site)) as address:
        yield int(address.rpartition(":")[2])


@contextmanager
def nginx(port: int) -> Iterator[httpx.Client]:
    """A client of an nginx before that port."""
    if NGINX is None:
        pytest.skip("there is no nginx (Debian's nginx-light)")
    with TemporaryDirectory(prefix="nginx-") as folder:
        text = CONFIGURATION.format(folder=folder, **documented(port))
        (Path(folder) / "nginx.conf").write_text(text, encoding="utf-8")
        command = [NGINX, "-p", folder, "-c", f"{folder}/nginx.conf", "-e", f"{folder}/errors"]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        try:
            wait_until(lambda: (Path(folder) / "socket").exists() or process.poll() is not None)
            assert process.poll() is None, process.stderr and process.stderr.read()
            transport = httpx.HTTPTransport(uds=f"{folder}/socket")
            with httpx.Client(transport=transport, base_url="http://maps.example.org", timeout=PATIENCE) as client:
                yield client
        finally:
            process.terminate()
            process.communicate(timeout=PATIENCE)


def test_through_the_documented_nginx(quick_engine: Engine, write_sheet: Any) -> None:
    engine = CountingEngine(quick_engine)
    scene = write_sheet("a.tif", side=300)
    with open_live(scene, engine=engine, block_span=1) as live, serving(live) as port, nginx(port) as client:
        tilejson = client.get("/town/tilejson.json").json()
        (template,) = tilejson["tiles"]
        assert template.startswith(f"{ADDRESS}/{{z}}/{{x}}/{{y}}.png?v=")
        assert f"{ADDRESS}/WMTSCapabilities.xml" in client.get("/town/WMTSCapabilities.xml").text
        assert client.get("/town/").text.count("./{z}/{x}/{y}.png") == 1  # the page's tiles are beside it
        assert client.get("/").status_code == 404

        tiles = [next(block.tiles) for block in live.job.plan.blocks()]
        paths = [f"/town/{tile.z}/{tile.x}/{tile.y}.png" for tile in tiles]
        answer = client.get(paths[0])
        assert (answer.status_code, answer.headers["content-type"]) == (200, "image/png")
        assert "content-encoding" not in answer.headers
        assert answer.content == live.map.ask(tiles[0]).result(PATIENCE)
        again = client.get(paths[0], headers={"If-None-Match": answer.headers["etag"]})
        assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", answer.headers["etag"])
        assert client.get("/town/healthz").json() == {"status": "ok"}

        zoom, before = str(tiles[1].z), live.tally.get("clients", "left")
        with engine.held(), pytest.raises(httpx.ReadTimeout):
            client.get(paths[1], timeout=0.5)  # somebody who does not wait for it
        wait_until(lambda: live.tally.get("tiles", "map", zoom, "left") + live.tally.get("clients", "left") > before)
