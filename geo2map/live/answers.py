"""HTTP answers to requests for tiles."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Mapping
from concurrent.futures import Future
from hashlib import blake2b
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send

from geo2map.errors import BusyError
from geo2map.grid import MAX_ZOOM
from geo2map.live.conditions import listed, precondition_status
from geo2map.live.layers import TileLayer
from geo2map.live.tally import Tally
from geo2map.live.wmts import MEDIA_TYPES
from geo2map.tiles.codec import SUFFIXES
from geo2map.tiles.folder import parse_number
from geo2map.tiles.sniff import format_of, pack
from geo2map.types import Tile

KEEP = "max-age=86400, immutable"
"""For tiles whose URL contains the map's version."""
ASK_AGAIN = "no-cache"
"""For all others: the client caches them and revalidates, which costs next to nothing."""
CHANGED = "the content has changed: repeat the request without conditions"
_PAUSE = 0.02  # seconds
_LONGEST_NUMBER = 9  # digits: no tile at zoom 24 needs more

log = logging.getLogger(__name__)


def refusal(status: int, sentence: str, headers: Mapping[str, str] | None = None) -> JSONResponse:
    """One sentence as JSON."""
    return JSONResponse({"error": sentence}, status, {"Cache-Control": "no-store", **(headers or {})})


def unsent(request: Request, tag: str, headers: Mapping[str, str]) -> Response | None:
    """The answer where a request's conditions rule out sending the content; None where it is to be sent.

    Args:
        tag: the entity tag of the content, without quotation marks.
        headers: of a 304 answer.
    """
    status = precondition_status(request.headers, tag)
    if status == 412:
        return refusal(412, CHANGED)
    return Response(status_code=304, headers={**headers, "ETag": f'"{tag}"'}) if status == 304 else None


class ClientLeft(Exception):  # noqa: N818 (not an error: users pan)
    """The client has disconnected."""


class TileEndpoint:
    """Answers requests for the tiles of a layer. An ASGI app, so that it notices a client leaving."""

    def __init__(self, layer: TileLayer, name: str, tally: Tally, *, shared: bool) -> None:
        """
        Args:
            name: the layer's, for the tally.
            shared: whether caches between here and the client may keep tiles.
        """
        self._layer, self._name, self._tally = layer, name, tally
        self._scope = "public" if shared else "private"
        self._format = layer.tileset.format

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        tile = self._tile(request)
        try:
            response = await self._answer(request, tile)
        except ClientLeft:
            self._count(tile, "left")
            return
        self._count(tile, str(response.status_code))
        if request.method == "HEAD":
            response.body = b""  # its length stays in the headers
        await response(scope, receive, send)

    def _tile(self, request: Request) -> Tile | None:
        """The tile of a path, None where no such tile can exist."""
        name = request.path_params["name"]
        suffix = SUFFIXES[self._format]
        words = [request.path_params["z"], request.path_params["x"], name.removesuffix(suffix)]
        if not name.endswith(suffix) or max(map(len, words)) > _LONGEST_NUMBER:
            return None
        if (zoom := parse_number(words[0], MAX_ZOOM + 1)) is None:
            return None
        column, row = (parse_number(word, 2**zoom) for word in words[1:])
        if column is None or row is None:
            return None
        tile = Tile(column, row, zoom)
        return tile if self._layer.covers(tile) else None

    def _count(self, tile: Tile | None, status: str) -> None:
        self._tally.add("tiles", self._name, "" if tile is None else str(tile.z), status)

    async def _answer(self, request: Request, tile: Tile | None) -> Response:
        if request.method not in ("GET", "HEAD"):
            return refusal(405, "tiles are read-only: use GET", {"Allow": "GET, HEAD"})
        if tile is None:
            return refusal(404, "no such tile: see tilejson.json for zooms, bounds and format")
        tag = self._layer.tag(tile)
        headers = {"Cache-Control": self._keeping(request)}
        if tag is not None and _names(request) and (early := unsent(request, tag, headers)) is not None:
            return early
        try:
            data = await _wait(self._layer.ask(tile), request)
        except BusyError as error:
            return refusal(503, str(error), {"Retry-After": str(error.seconds)})
        except (ClientLeft, asyncio.CancelledError):
            raise
        except Exception as error:
            log.info("tile %s failed", tile, exc_info=error)
            return refusal(500, "this part of the map cannot be rendered: see the server's log")
        if data is None:
            return Response(status_code=204, headers=headers)
        kind = format_of(data) or self._format
        if kind == "mvt":
            headers["Vary"] = "Accept-Encoding"
            if _takes_gzip(request):
                data, headers["Content-Encoding"] = pack(data, kind), "gzip"
        if tag is None:
            tag = blake2b(data, digest_size=16).hexdigest()
        if (late := unsent(request, tag, headers)) is not None:
            return late
        headers |= {"ETag": f'"{tag}"', "Content-Type": MEDIA_TYPES[kind]}
        return Response(data, headers=headers)

    def _keeping(self, request: Request) -> str:
        version = version_of(self._layer)
        known = version is not None and request.query_params.get("v") == version
        return f"{self._scope}, {KEEP}" if known else f"{self._scope}, {ASK_AGAIN}"


def version_of(layer: TileLayer) -> str | None:
    """The version of a layer's tiles, None where each tile has its own."""
    tag = layer.tag(Tile(0, 0, layer.tileset.maxzoom))
    return None if tag is None else tag.partition("-")[0]


def _names(request: Request) -> bool:
    """Whether a request's conditions name tags; "*" means any tile, which only its bytes can prove."""
    conditions = [listed(request.headers, name) for name in ("if-match", "if-none-match")]
    return any(conditions) and "*" not in conditions


def _takes_gzip(request: Request) -> bool:
    """Whether a client takes gzip around a tile; one that weighs it with 0 does not."""
    given = (word.partition(";") for word in ",".join(request.headers.getlist("accept-encoding")).split(","))
    weights = {name.strip().lower(): weight.replace(" ", "").lower() for name, _, weight in given}
    found = weights.get("gzip", weights.get("*"))
    return found is not None and re.fullmatch(r"q=0(\.0*)?", found) is None


async def _wait(answer: Future[bytes | None], request: Request) -> bytes | None:
    """The answer, unless the client leaves first, which cancels it.

    Raises:
        ClientLeft: the client left.
    """
    if answer.done():
        return answer.result()
    waiting = asyncio.wrap_future(answer)
    leaving = asyncio.ensure_future(_left(request))
    try:
        pending: set[asyncio.Future[Any]] = {waiting, leaving}
        await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
        if not waiting.done():
            raise ClientLeft
        return waiting.result()
    finally:
        leaving.cancel()
        waiting.cancel()


async def _left(request: Request) -> None:
    """Returns when the client has disconnected."""
    while (await request.receive())["type"] != "http.disconnect":
        await asyncio.sleep(_PAUSE)  # a server may repeat messages, which must not block the event loop
