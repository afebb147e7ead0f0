"""A page of another origin reads tiles, documents and an archive: preflights, byte ranges, conditions."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from foreign import BOUNDS, LEFT, TOP, WORDS, write_pmtiles
from pmtiles.tile import TileType

from geo2map.api.serving import stored_site
from geo2map.live.app import make_app

ORIGIN = {"Origin": "https://a.example"}
TILE, BESIDE = f"/17/{LEFT}/{TOP}.png", f"/17/{LEFT + 40}/{TOP}.png"
PATHS = ("/archive.pmtiles", TILE, "/tilejson.json", "/WMTSCapabilities.xml", "/")
MARKED = '<a href="https://q.example/?a=1&b=2">&copy; Imagery Office</a> <script>alert(1)</script>'


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    edges = {
        f"{edge}_e7": round(value * 1e7)
        for edge, value in zip(("min_lon", "min_lat", "max_lon", "max_lat"), BOUNDS, strict=True)
    }
    path: Path = tmp_path_factory.mktemp("shown") / "map.pmtiles"
    write_pmtiles(path, TileType.PNG, {**WORDS, "attribution": MARKED}, **edges)
    with stored_site(path) as site:
        yield make_app(site)


def ask(app: Any, path: str, method: str = "GET", **headers: str) -> httpx.Response:
    async def fetch() -> httpx.Response:
        async with httpx.AsyncClient(
            transport=httpx.ASGITransport(app=app), base_url="http://127.0.0.1:8000"
        ) as client:
            return await client.request(method, path, headers=ORIGIN | headers)

    return asyncio.run(fetch())


def preflight(app: Any, path: str, headers: str, method: str = "GET") -> httpx.Response:
    asked = {"Access-Control-Request-Method": method, "Access-Control-Request-Headers": headers}
    return ask(app, path, "OPTIONS", **asked)


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("headers", ["range", "if-match", "if-none-match", "If-Range, Range", "authorization, range"])
def test_leave_to_ask_is_given(headers: str, path: str, app: Any) -> None:
    answer = preflight(app, path, headers)
    assert answer.status_code == 200
    allowed = {name.strip().lower() for name in answer.headers["access-control-allow-headers"].split(",")}
    assert allowed >= {name.strip().lower() for name in headers.split(",")}
    assert answer.headers["access-control-allow-methods"] == "GET, HEAD"
    assert answer.headers["access-control-allow-origin"] == "*"


@pytest.mark.parametrize(("headers", "method"), [("x-other", "GET"), ("range", "DELETE")])
def test_leave_that_is_not_given_is_one_sentence(headers: str, method: str, app: Any) -> None:
    answer = preflight(app, "/archive.pmtiles", headers, method)
    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/json"
    assert "GET and HEAD with the headers" in answer.json()["error"]


def test_scripts_may_read_what_they_need(app: Any) -> None:
    answer = ask(app, "/archive.pmtiles", Range="bytes=0-6")
    assert (answer.status_code, answer.content) == (206, b"PMTiles")
    told = {name.strip() for name in answer.headers["access-control-expose-headers"].split(",")}
    assert told >= {"ETag", "Content-Range", "Content-Length", "Accept-Ranges"}
    assert told - {"Last-Modified"} <= {name.title().replace("Etag", "ETag") for name in answer.headers}


@pytest.mark.parametrize(("asked", "status"), [("bytes=99999999-", 416), ("bytes=x", 400), ("lines=1", 400)])
def test_a_range_that_cannot_be_sent_is_one_sentence(asked: str, status: int, app: Any) -> None:
    answer = ask(app, "/archive.pmtiles", Range=asked)
    assert (answer.status_code, list(answer.json())) == (status, ["error"])
    assert ("content-range" in answer.headers) == (status == 416)


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("path", PATHS)
def test_conditions(path: str, method: str, app: Any) -> None:
    first = ask(app, path, method)
    tag = first.headers["etag"]
    assert first.status_code == 200
    for known in ("*", tag, f"W/{tag}", f'"x", W/"y", {tag}'):
        answer = ask(app, path, method, **{"If-None-Match": known})
        assert (answer.status_code, answer.content, answer.headers["etag"]) == (304, b"", tag)
    assert ask(app, path, method, **{"If-None-Match": '"x"'}).status_code == 200
    assert ask(app, path, method, **{"If-Match": tag}).status_code == 200
    assert ask(app, path, method, **{"If-Match": "*"}).status_code == 200
    assert ask(app, path, method, **{"If-Match": '"x"'}).status_code == 412
    assert ask(app, path, method, **{"If-Match": f"W/{tag}"}).status_code == 412


def test_what_does_not_exist_matches_nothing(app: Any) -> None:
    assert ask(app, BESIDE, **{"If-None-Match": "*"}).status_code == 404
    assert ask(app, "/nowhere", **{"If-None-Match": "*"}).status_code == 404


def test_a_range_of_an_archive_that_changed(app: Any) -> None:
    tag = ask(app, "/archive.pmtiles", "HEAD").headers["etag"]
    assert ask(app, "/archive.pmtiles", Range="bytes=0-6", **{"If-Range": tag}).status_code == 206
    assert ask(app, "/archive.pmtiles", Range="bytes=0-6", **{"If-Range": '"x"'}).status_code == 200
    assert ask(app, "/archive.pmtiles", Range="bytes=0-6", **{"If-Match": '"x"'}).status_code == 412


def test_words_of_others_are_shown_as_words(app: Any) -> None:
    document = ask(app, "/tilejson.json").json()
    assert (document["attribution"], document["description"]) == (MARKED, WORDS["description"])
    page, capabilities = ask(app, "/").text, ask(app, "/WMTSCapabilities.xml").text
    for text in (page, capabilities):
        assert "\N{COPYRIGHT SIGN} Imagery Office" in text
        assert "q.example" not in text
        assert "neural network" not in text
        assert "generative" not in text
    assert f"<p>{WORDS['description']}</p>" in page
