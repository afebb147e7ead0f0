"""The server as an ASGI app: routes, documents and the page. Needs the extra `serve`."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from hashlib import blake2b
from urllib.parse import unquote

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from geo2map.errors import Geo2MapError
from geo2map.formats.documents.maplibre import style_documents
from geo2map.formats.documents.page import OnDemand, viewer_page
from geo2map.formats.documents.text import json_bytes
from geo2map.live.answers import ASK_AGAIN, TileEndpoint, refusal, unsent, version_of
from geo2map.live.archive import ArchiveResponse
from geo2map.live.crossing import OtherOrigins
from geo2map.live.gate import TokenGate
from geo2map.live.metrics import CONTENT_TYPE, metrics_text
from geo2map.live.site import ServedSite
from geo2map.live.wmts import wmts_capabilities
from geo2map.tiles.codec import SUFFIXES
from geo2map.tiles.layer import MAP

_HOST = re.compile(r"[A-Za-z0-9.:\[\]-]{1,255}")


def make_app(site: ServedSite, close: Callable[[], None] | None = None) -> Starlette:
    """The ASGI app of a site.

    Run it in one process: a second would render the same blocks again.

    Args:
        close: called when the server ends.
    """
    pages = _Documents(site)
    shared = site.token is None
    routes: list[BaseRoute] = [
        Route("/", pages.page),
        Route("/healthz", _health),
        Route("/metrics", pages.metrics),
        Route("/tilejson.json", pages.tilejson),
        *(Route(f"/{name}/tilejson.json", pages.tilejson) for name in site.further),
        *(Route(f"/{file}", pages.style) for file in pages.styles),
    ]
    if site.pictures:
        routes.append(Route("/WMTSCapabilities.xml", pages.capabilities))
    if site.archive is not None:
        routes.append(Route("/archive.pmtiles", pages.archive))
    for folder, layer in site.layers.items():
        endpoint = TileEndpoint(layer, folder.rstrip("/") or MAP, site.tally, shared=shared)
        routes.append(Route(f"/{folder}{{z}}/{{x}}/{{name}}", endpoint))

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        yield
        if close is not None:
            close()

    app = Starlette(
        routes=routes,
        lifespan=lifespan,
        middleware=[
            Middleware(OtherOrigins),
            Middleware(TokenGate, token=site.token),
        ],
        exception_handlers={HTTPException: _refused, Geo2MapError: _failed},
    )
    app.router.redirect_slashes = False
    return app


class _Documents:
    """Everything but tiles."""

    def __init__(self, site: ServedSite) -> None:
        self._site = site
        further = {name: layer.tileset for name, layer in site.further.items()}
        live = site.live
        on_demand = None if live is None else OnDemand(live.map.minzoom, live.job.plan.block_span)
        self._page = viewer_page(site.map.tileset, site.legend, further, on_demand=on_demand)
        self.styles = tuple(style_documents(site.map.tileset)) if site.is_vector else ()

    async def page(self, request: Request) -> Response:
        return _document(request, self._page, "text/html; charset=utf-8")

    async def metrics(self, _: Request) -> Response:
        return Response(metrics_text(self._site.tally, self._site.live), headers={"Content-Type": CONTENT_TYPE})

    async def archive(self, request: Request) -> Response:
        assert self._site.archive is not None
        answer = await run_in_threadpool(ArchiveResponse, self._site.archive)
        kept = {"Last-Modified": answer.headers["last-modified"]}
        return unsent(request, answer.headers["etag"].strip('"'), kept) or answer

    async def tilejson(self, request: Request) -> Response:
        name = request.url.path.split("/")[-2]
        folder = f"{name}/" if name in self._site.further else ""
        if (layer := self._site.layers.get(folder)) is None:
            raise HTTPException(404)
        document = layer.tileset.to_dict()
        document |= {"name": self._site.title(folder), "tiles": [self._template(request, folder)]}
        text = json.dumps(document, ensure_ascii=False).encode(errors="backslashreplace")
        return _document(request, text, "application/json")

    async def style(self, request: Request) -> Response:
        """A MapLibre style, for pages of one's own: with absolute addresses."""
        styles = style_documents(self._site.map.tileset, self._template(request, ""))
        return _document(request, json_bytes(styles[unquote(request.url.path.rpartition("/")[2])]), "application/json")

    async def capabilities(self, request: Request) -> Response:
        shown = self._site.pictures
        tilesets = {self._site.title(folder): layer.tileset for folder, layer in shown.items()}
        templates = {self._site.title(folder): self._template(request, folder) for folder in shown}
        address = f"{self._base(request)}/WMTSCapabilities.xml{self._query(request, None)}"
        document = wmts_capabilities(tilesets, templates, address)
        return _document(request, document, "application/xml")

    def _template(self, request: Request, folder: str) -> str:
        """A tile's absolute URL, with {z}, {x} and {y} in it."""
        layer = self._site.layers[folder]
        suffix = SUFFIXES[layer.tileset.format]
        return f"{self._base(request)}/{folder}{{z}}/{{x}}/{{y}}{suffix}{self._query(request, version_of(layer))}"

    def _query(self, request: Request, version: str | None) -> str:
        """Query of addresses: the version of the tiles, and the token if the request carried it in its query."""
        token = request.query_params.get("token") if self._site.token else None
        words = {"v": version, "token": token}
        found = "&".join(f"{name}={word}" for name, word in words.items() if word)
        return f"?{found}" if found else ""

    def _base(self, request: Request) -> str:
        """This server's URL without a trailing slash; its host as in the request, if that is valid."""
        if self._site.address is not None:
            return self._site.address.rstrip("/")
        host, port = request.scope.get("server") or ("127.0.0.1", None)
        given = request.headers.get("host", "")
        if not _HOST.fullmatch(given):
            given = f"{host}:{port}" if port else str(host)
        return f"{request.url.scheme}://{given}{request.scope.get('root_path', '').rstrip('/')}"


def _document(request: Request, content: bytes, kind: str) -> Response:
    """A document, or that the client's copy is current."""
    tag = blake2b(content, digest_size=16).hexdigest()
    headers = {"Cache-Control": ASK_AGAIN, "ETag": f'"{tag}"'}
    return unsent(request, tag, headers) or Response(content, headers={**headers, "Content-Type": kind})


async def _health(_: Request) -> Response:
    """Liveness probe."""
    return JSONResponse({"status": "ok"}, headers={"Cache-Control": "no-store"})


_SENTENCES = {404: "not found: the map is at /", 405: "this server is read-only: use GET"}


async def _refused(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return refusal(error.status_code, _SENTENCES.get(error.status_code, error.detail), error.headers)


async def _failed(_: Request, error: Exception) -> Response:  # noqa: ARG001
    return refusal(500, "internal error: see the server's log")
