"""The server over HTTP: what it answers, to whom, and what strangers can do to it."""

from __future__ import annotations

import asyncio
import json
import logging
import socket
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from itertools import product
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.request import Request, urlopen
from xml.etree.ElementTree import fromstring

import httpx
import mercantile
import numpy as np
import pytest
import rasterio
from asking import CountingEngine, app_of, client_of, fetch, fetch_all
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from serving import running
from waiting import PATIENCE, wait_until_async

from geo2map import Engine, render
from geo2map.api.converting import convert
from geo2map.api.serving import live_app, open_live, stored_site
from geo2map.errors import OutputError, PlanError, TileSetError
from geo2map.live import LiveMap, ServedSite
from geo2map.live.app import make_app
from geo2map.live.run import Addresses, Listening, _listen, bind, run_app
from geo2map.types import Tile

TOKEN = "a-word-of-some-length"


@pytest.fixture
def live(quick_engine: Engine, write_sheet: Any) -> Iterator[LiveMap]:
    with open_live(write_sheet("a.tif"), engine=CountingEngine(quick_engine), block_span=1, minzoom=12) as live:
        yield live


def a_tile(live: LiveMap) -> Tile:
    """In the middle of the scene."""
    blocks = list(live.job.plan.blocks())
    return next(blocks[len(blocks) // 2].tiles)


def path_of(tile: Tile) -> str:
    return f"/{tile.z}/{tile.x}/{tile.y}.png"


def test_what_a_tile_comes_with(live: LiveMap) -> None:
    app, path = app_of(live), path_of(a_tile(live))
    answer = fetch(app, path, origin="https://elsewhere.example")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "image/png"
    assert answer.headers["cache-control"] == "public, no-cache"
    assert answer.headers["access-control-allow-origin"] == "*"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "content-encoding" not in answer.headers
    assert answer.headers["etag"].startswith(f'"{live.job.fingerprint}-map-')
    head = fetch(app, path, "HEAD")
    assert head.content == b""
    assert {name: head.headers[name] for name in ("etag", "content-length")} == {
        name: answer.headers[name] for name in ("etag", "content-length")
    }
    version = f"{path}?v={live.job.fingerprint}"
    assert fetch(app, version).headers["cache-control"] == "public, max-age=86400, immutable"
    assert fetch(app, f"{path}?v=other").headers["cache-control"] == "public, no-cache"


def test_what_the_client_has_is_not_made(live: LiveMap) -> None:
    app, tile = app_of(live), a_tile(live)
    tag = live.map.tag(tile)
    for spelled in (f'"{tag}"', f'W/"{tag}"', f'"x", "{tag}"'):
        answer = fetch(app, path_of(tile), if_none_match=spelled)
        assert (answer.status_code, answer.content) == (304, b"")
        assert answer.headers["etag"] == f'"{tag}"'
    assert live.tally.sums("blocks") == {}
    assert fetch(app, path_of(tile), if_none_match='"other"').status_code == 200
    assert live.tally.get("blocks", "map", "made") == 1


def test_where_there_is_nothing(live: LiveMap) -> None:
    tile = a_tile(live)
    app, (z, x, y) = app_of(live), (tile.z, tile.x, tile.y)
    wrong = [
        f"/{z}/{x + 50}/{y}.png",  # outside
        f"/{z - 4}/{x >> 4}/{y >> 4}.png",  # below the zooms that are made on demand
        f"/{z + 1}/{2 * x}/{2 * y}.png",  # above
        f"/{z}/{x}/{y}.webp",
        f"/{z}/{x}/{y}",
        f"/{z}/{x}/{y}.png/",
        f"/source/{z}/{x}/{y}.png",
        "/nowhere",
        "/archive.pmtiles",
    ]
    for answer in fetch_all(app, wrong):
        assert answer.status_code == 404
        assert list(answer.json()) == ["error"]
    for method in ("POST", "PUT", "DELETE", "PATCH", "OPTIONS"):
        for path in ("/", path_of(tile), "/tilejson.json", "/healthz"):
            answer = fetch(app, path, method)
            assert answer.status_code == 405, (method, path)
            assert "GET" in answer.headers["allow"]
    assert live.tally.sums("blocks") == {}


def test_inside_without_data_is_204(quick_engine: Engine, write_sheet: Any) -> None:
    with rasterio.open(write_sheet("a.tif"), "r+") as scene:
        scene.write(np.zeros((3, 500, 500), np.uint8), window=((0, 500), (0, 500)))
    with open_live(write_sheet("b.tif").with_name("a.tif"), engine=quick_engine, block_span=1) as live:
        corner = next(next(live.job.plan.blocks()).tiles)
        answer = fetch(app_of(live), path_of(corner))
        assert (answer.status_code, answer.content) == (204, b"")
        assert live.tally.get("blocks", "map", "empty") == 1


def test_documents(live: LiveMap) -> None:
    app = app_of(live)
    tilejson = fetch(app, "/tilejson.json", origin="http://x.example").json()
    assert tilejson["tiles"] == [f"http://127.0.0.1:8000/{{z}}/{{x}}/{{y}}.png?v={live.job.fingerprint}"]
    assert (tilejson["minzoom"], tilejson["maxzoom"]) == (14, 17)
    assert fetch(app, "/source/tilejson.json").json()["tiles"][0].split("?")[0].endswith("/source/{z}/{x}/{y}.webp")
    page = fetch(app, "/")
    assert "text/html" in page.headers["content-type"]
    assert "./source/{z}/{x}/{y}.webp" in page.text
    root = fromstring(fetch(app, "/WMTSCapabilities.xml").content)
    names = {"w": "http://www.opengis.net/wmts/1.0", "ows": "http://www.opengis.net/ows/1.1"}
    layers = root.findall("w:Contents/w:Layer", names)
    assert [layer.findtext("ows:Title", None, names) for layer in layers] == ["a", "a (imagery)"]
    template = layers[0].find("w:ResourceURL", names)
    assert template is not None
    assert "/{TileMatrix}/{TileCol}/{TileRow}.png?v=" in template.attrib["template"]
    corner = [layers[0].findtext(f"ows:WGS84BoundingBox/ows:{end}Corner", "", names) for end in ("Lower", "Upper")]
    assert [float(number) for part in corner for number in part.split()] == tilejson["bounds"]
    limits = layers[0].findall(".//w:TileMatrixLimits", names)
    assert [limit.findtext("w:TileMatrix", "", names) for limit in limits] == ["14", "15", "16", "17"]
    fetch(app, path_of(a_tile(live)))
    metrics = fetch(app, "/metrics").text
    assert 'geo2map_tiles_total{layer="map",status="200",zoom="17"} 1.0' in metrics
    assert 'geo2map_blocks_total{layer="map",result="made"} 1.0' in metrics
    assert "geo2map_queue_blocks 0.0" in metrics


def test_another_address_and_a_host_that_is_none(live: LiveMap) -> None:
    app = app_of(live, address="https://maps.example/town/")
    assert fetch(app, "/tilejson.json").json()["tiles"][0].startswith("https://maps.example/town/{z}/")
    junk = fetch(app_of(live), "/tilejson.json", host='"><script>').json()["tiles"][0]
    assert junk.startswith("http://127.0.0.1:8000/{z}")


def test_a_token(live: LiveMap) -> None:
    app, path = app_of(live, token=TOKEN), path_of(a_tile(live))
    for wrong in (path, "/", "/metrics", "/tilejson.json", f"{path}?token=nope", f"{path}?token="):
        answer = fetch(app, wrong)
        assert answer.status_code == 401
        assert list(answer.json()) == ["error"]
    assert fetch(app, path, cookie="geo2map=nope; =;;").status_code == 401
    assert live.tally.sums("blocks") == {}
    assert fetch(app, "/healthz").status_code == 200
    good = fetch(app, f"{path}?token={TOKEN}")
    assert (good.status_code, good.headers["cache-control"]) == (200, "private, no-cache")
    assert fetch(app, path, authorization=f"Bearer {TOKEN}").status_code == 200
    page = fetch(app, f"/?token={TOKEN}")
    cookie = page.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Strict" in cookie
    assert fetch(app, path, cookie=cookie.split(";")[0]).status_code == 200
    assert f"token={TOKEN}" in fetch(app, f"/tilejson.json?token={TOKEN}").json()["tiles"][0]
    assert "token" not in fetch(app, "/tilejson.json", authorization=f"Bearer {TOKEN}").json()["tiles"][0]
    for word in ("short", "with spaces in it, and signs", "x" * 300):
        with pytest.raises(PlanError, match="token is malformed"):
            ServedSite(map=live.map, token=word)
    with pytest.raises(PlanError, match="not a URL"):
        ServedSite(map=live.map, address="javascript:alert(1)")


def test_beyond_the_queue_it_is_503_and_the_pulse_goes_on(quick_engine: Engine, write_sheet: Any) -> None:
    engine = CountingEngine(quick_engine)
    with open_live(write_sheet("a.tif"), engine=engine, block_span=1, queue=2) as live:
        tiles = [next(block.tiles) for block in live.job.plan.blocks()]

        async def ask() -> list[httpx.Response]:
            async with client_of(app_of(live)) as client:
                asked = [asyncio.ensure_future(client.get(path_of(tile), timeout=PATIENCE)) for tile in tiles]
                await wait_until_async(lambda: any(one.done() for one in asked))
                refused = [one.result() for one in asked if one.done()]
                pulse = await client.get("/healthz")
                assert (pulse.status_code, pulse.json()) == (200, {"status": "ok"})
                assert (await client.get("/metrics")).status_code == 200
                engine.going.set()
                return [*refused[:1], *(await asyncio.gather(*asked))]

        with engine.held():
            first, *answers = asyncio.run(ask())
        assert first.status_code == 503
        assert 1 <= int(first.headers["retry-after"]) <= 30
        assert "try again" in first.json()["error"]
        statuses = [answer.status_code for answer in answers]
        assert set(statuses) == {200, 503}
        assert statuses.count(200) >= 3
        assert live.tally.get("clients", "refused") == statuses.count(503)


# Strangers

numbers = st.one_of(
    st.integers(-3, 30),
    st.integers(),
    st.sampled_from([2**31, 2**63, 10**400, -(10**400)]),
    st.sampled_from(["..", "%2e%2e", "", "1e3", "0x1f", "٣", "007", "+1", "1.0", "nan", "%00", "a" * 3000, "9" * 5000]),
)
suffixes = st.sampled_from(
    [".png", ".webp", ".jpg", ".tif", "", ".png.php", ".png/../../etc/passwd", "@2x.png", ".PNG"]
)
tile_paths = st.builds(
    "{}/{}/{}/{}{}".format,
    st.sampled_from(["", "/source", "/..", "/%2e%2e/%2e%2e"]),
    numbers,
    numbers,
    numbers,
    suffixes,
)
words = st.text(st.characters(codec="utf-8", exclude_characters="\r\n\0"), max_size=40)
raw_paths = st.one_of(tile_paths, words.map(lambda word: f"/{word}"))
headers = st.dictionaries(
    st.sampled_from(
        ["if-none-match", "range", "host", "origin", "cookie", "authorization", "x-forwarded-host", "accept"]
    ),
    words.map(lambda word: word.encode()),
    max_size=3,
)


@contextmanager
def silence(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Nothing is logged as an error."""
    caplog.clear()
    with caplog.at_level(logging.WARNING):
        yield
    assert [record.getMessage() for record in caplog.records] == []


RawRequest = tuple[str, str, str, dict[str, bytes]]
methods = st.sampled_from(["GET", "GET", "HEAD", "POST", "BREW", "OPTIONS"])
WORST: list[RawRequest] = [
    ("//etc/passwd", "", "GET", {}),
    ("/17/" + "9" * 6000 + "/1.png", "", "GET", {}),
    ("/healthz", "", "BREW", {"cookie": b"geo2map=\xff"}),
]


@settings(max_examples=52, suppress_health_check=list(HealthCheck), deadline=None)
@given(st.lists(st.tuples(raw_paths, words, methods, headers), min_size=10, max_size=10))
@example(WORST)
def test_hostile_requests(
    gates: list[Any], tmp_path: Path, caplog: pytest.LogCaptureFixture, asked: list[RawRequest]
) -> None:
    """A thousand, over plain ASGI, so that nothing is made harmless on the way."""
    for (path, query, method, given_headers), app in product(asked, gates):
        status, body = ask_raw(app, path, query, method, given_headers, caplog)
        assert status in (200, 204, 304, 400, 401, 404, 405)
        if status >= 401:
            assert method == "HEAD" or list(json.loads(body)) == ["error"]
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.tif"]


@pytest.fixture
def gates(live: LiveMap) -> list[Any]:
    return [app_of(live), app_of(live, token=TOKEN)]


def ask_raw(
    app: Any, path: str, query: str, method: str, given_headers: dict[str, bytes], caplog: pytest.LogCaptureFixture
) -> tuple[int, bytes]:
    messages: list[Any] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        messages.append(message)

    named = [(name.encode(), value) for name, value in given_headers.items()]
    scope = {"type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": method, "path": path}
    scope |= {"raw_path": path.encode(), "query_string": query.encode(), "headers": named, "root_path": ""}
    scope |= {"scheme": "http", "server": ("127.0.0.1", 8000), "client": ("127.0.0.1", 9)}
    with silence(caplog):
        asyncio.run(asyncio.wait_for(app(scope, receive, send), PATIENCE))
    return messages[0]["status"], b"".join(message.get("body", b"") for message in messages[1:])


def test_a_server_that_repeats_itself_stops_nobody(live: LiveMap, caplog: pytest.LogCaptureFixture) -> None:
    """Some say again and again that there is no more of the request."""
    status, body = ask_raw(app_of(live), path_of(a_tile(live)), "", "GET", {}, caplog)
    assert (status, body[1:4]) == (200, b"PNG")


# Finished sets


@pytest.mark.parametrize("name", ["tiles", "a.mbtiles", "a.pmtiles", "map.tif"])
def test_a_finished_set_is_shown(name: str, quick_engine: Engine, write_sheet: Any, tmp_path: Path) -> None:
    render(write_sheet("a.tif", side=420), tmp_path / "tiles", engine=quick_engine)
    if name != "tiles":
        convert(tmp_path / "tiles", tmp_path / name)
    with stored_site(tmp_path / name) as site:
        app, tileset = make_app(site), site.map.tileset
        files = {p.relative_to(tmp_path / "tiles").as_posix(): p for p in (tmp_path / "tiles").rglob("*.png")}
        answers = dict(zip(files, fetch_all(app, [f"/{path}" for path in files]), strict=True))
        assert all(answer.content == files[path].read_bytes() for path, answer in answers.items())
        path, answer = next(iter(answers.items()))
        assert fetch(app, f"/{path}", if_none_match=answer.headers["etag"]).status_code == 304
        assert fetch(app, "/tilejson.json").json()["tiles"] == ["http://127.0.0.1:8000/{z}/{x}/{y}.png"]
        assert fetch(app, f"/{tileset.maxzoom}/0/0.png").status_code == 404
        assert fetch(app, "/").status_code == fetch(app, "/WMTSCapabilities.xml").status_code == 200
        part = fetch(app, "/archive.pmtiles", range="bytes=0-6")
        assert (part.status_code, part.content) == ((206, b"PMTiles") if name == "a.pmtiles" else (404, part.content))


def test_what_cannot_be_shown(tmp_path: Path, write_sheet: Any) -> None:
    for path in (tmp_path / "no", tmp_path, write_sheet("a.tif")):
        with pytest.raises(TileSetError), stored_site(path):
            pass


# A real server


def test_a_real_server(quick_engine: Engine, write_sheet: Any, tmp_path: Path) -> None:
    app = live_app(write_sheet("a.tif"), engine=quick_engine, block_span=1, keep=tmp_path / "tiles")
    with running(app) as address, httpx.Client(base_url=address, timeout=PATIENCE) as client:
        tilejson = client.get("/tilejson.json").json()
        assert tilejson["tiles"][0].startswith(address)
        west, south, east, north = tilejson["bounds"]
        tile = mercantile.tile((west + east) / 2, (south + north) / 2, tilejson["maxzoom"])
        url = tilejson["tiles"][0].format(x=tile.x, y=tile.y, z=tile.z)
        answer = client.get(url)
        assert answer.status_code == 200
        assert client.get(url, headers={"If-None-Match": answer.headers["etag"]}).status_code == 304
        with urlopen(Request(url, method="HEAD"), timeout=PATIENCE) as head:
            assert int(head.headers["content-length"]) == len(answer.content)
        assert client.get("/x" * 30_000).status_code in (400, 404)
        with suppress(httpx.TransportError):  # a reset may come before the answer
            assert client.get("/", headers={"junk": "x" * 200_000}).status_code == 400
        assert client.get("/healthz").status_code == 200
    assert (tmp_path / ".tiles.partial").is_dir()  # kept, and let go of
    assert not (tmp_path / ".tiles.lock").exists()


def test_a_client_that_hangs_up_is_noticed(quick_engine: Engine, write_sheet: Any) -> None:
    engine = CountingEngine(quick_engine)
    with open_live(write_sheet("a.tif"), engine=engine, block_span=1) as live, running(app_of(live)) as address:
        tiles = [next(block.tiles) for block in live.job.plan.blocks()][:5]
        with engine.held():
            first = live.map.ask(tiles[0])
            assert engine.busy.wait(PATIENCE)
            port = int(address.rpartition(":")[2])
            with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as client:
                client.sendall(f"GET {path_of(tiles[4])} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
                while live.queue.waiting < 2:
                    assert not first.done()
            while live.queue.waiting > 1:
                assert not first.done()
        assert first.result(PATIENCE)
        assert live.tally.get("clients", "left") == 1


def test_a_body_does_not_wait_until_its_head_is_acknowledged() -> None:
    async def accepted() -> int:
        connected: asyncio.Future[asyncio.StreamWriter] = asyncio.get_running_loop().create_future()
        server = await asyncio.start_server(lambda _, writer: connected.set_result(writer), sock=own)
        async with server:
            _, client = await asyncio.open_connection(*own.getsockname())
            writer = await connected
            found = int(writer.get_extra_info("socket").getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
            for stream in (writer, client):
                stream.close()
            return found

    with closing(_listen("127.0.0.1", 0)) as own:
        assert asyncio.run(accepted()) != 0


def test_a_port_that_is_taken() -> None:
    with closing(_listen("127.0.0.1", 0)) as own, pytest.raises(OutputError, match="choose another port"):
        bind(Listening(port=own.getsockname()[1]))
    with pytest.raises(OutputError, match="cannot listen"):
        bind(Listening(host="no.such.host.invalid"))


def test_it_tells_where_it_is_and_opens_the_browser(live: LiveMap, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[Addresses] = []
    opened, stopped = threading.Event(), threading.Event()
    monkeypatch.setattr("webbrowser.open", lambda url: opened.set() if url == told[0].page else None)
    monkeypatch.setattr("geo2map.live.run.make_server", lambda _: SimpleNamespace(run=lambda **_: stopped.set()))
    listening = Listening(host="0.0.0.0", browser=True, ready=told.append)
    with bind(listening) as own:
        run_app(app_of(live), own, listening, "png", base="https://maps.example/town")
    assert opened.wait(PATIENCE)
    assert stopped.is_set()
    assert told[0].tiles == "https://maps.example/town/{z}/{x}/{y}.png"
    assert "anyone" in (told[0].warning or "")
    assert "QGIS" in str(told[0])
