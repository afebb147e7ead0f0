"""Running the server: uvicorn on our socket, so that a port in use is one sentence. Needs the extra `serve`."""

from __future__ import annotations

import socket
import webbrowser
from collections.abc import Callable
from dataclasses import dataclass
from threading import Thread
from typing import Any

import uvicorn
from starlette.applications import Starlette

from geo2map.errors import OutputError
from geo2map.tiles.codec import SUFFIXES
from geo2map.types import TileFormat

LOOPBACK = ("127.0.0.1", "::1", "localhost")
MOST_CONNECTIONS = 1000
LONGEST_HEAD = 16 * 1024
"""Bytes of a request's first line and headers."""


@dataclass(frozen=True)
class Addresses:
    """URLs of a server.

    Attributes:
        page: the viewer.
        tilejson: for MapLibre.
        tiles: a tile's URL, with {z}, {x} and {y} in it: pictures for Leaflet, features for QGIS.
        wmts: pictures for QGIS; None where the map holds features.
        warning: on who can reach it, None where only this machine can.
    """

    page: str
    tilejson: str
    tiles: str
    wmts: str | None = None
    warning: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """The addresses as JSON-able values."""
        wmts = {} if self.wmts is None else {"wmts": self.wmts}
        return {"page": self.page, **wmts, "tilejson": self.tilejson, "tiles": self.tiles}

    def __str__(self) -> str:
        lines = [f"map       {self.page}", f"MapLibre  {self.tilejson}"]
        if self.wmts is None:
            lines.append(f"QGIS      {self.tiles} (vector tiles)")
        else:
            lines[1:] = [f"QGIS      {self.wmts}", lines[1], f"Leaflet   {self.tiles}"]
        return "\n".join([*lines, "Press Ctrl-C to stop."])


@dataclass(frozen=True, kw_only=True)
class Listening:
    """Where a server listens.

    Attributes:
        host: address of this machine; other addresses than 127.0.0.1 expose the server.
        port: 0 takes a free port.
        browser: whether to open the page in a browser.
        ready: called with the addresses when the server is ready.
    """

    host: str = "127.0.0.1"
    port: int = 0
    browser: bool = False
    ready: Callable[[Addresses], None] | None = None


def bind(listening: Listening) -> socket.socket:
    """The socket to serve on; early connections wait. A context manager that closes it.

    Raises:
        OutputError: the port is in use, or the host is not an address of this machine.
    """
    return _listen(listening.host, listening.port)


def run_app(
    app: Starlette,
    own: socket.socket,
    listening: Listening,
    format: TileFormat,
    token: str | None = None,
    base: str | None = None,
) -> None:
    """Serves an app until this process is told to stop.

    Args:
        own: the socket from `bind`.
        format: of the map's tiles.
        token: that requests must carry.
        base: this server's public URL without a trailing slash; None is that of the socket.

    Raises:
        KeyboardInterrupt: Ctrl-C, after shutdown.
    """
    found = _addresses(base or _url(own), format, token, open_to_all=listening.host not in LOOPBACK)
    if listening.ready is not None:
        listening.ready(found)
    if listening.browser:
        Thread(target=webbrowser.open, args=(found.page,), daemon=True).start()
    make_server(app).run(sockets=[own])


def make_server(app: Starlette) -> uvicorn.Server:
    """A server with limits on everything that a client controls. One process: pending blocks are in its memory."""
    return uvicorn.Server(
        uvicorn.Config(
            app,
            http="h11",
            ws="none",
            lifespan="on",
            access_log=False,
            log_config=None,
            server_header=False,
            limit_concurrency=MOST_CONNECTIONS,
            h11_max_incomplete_event_size=LONGEST_HEAD,
            timeout_graceful_shutdown=5,
        )
    )


def _listen(host: str, port: int) -> socket.socket:
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        own = socket.create_server((host, port), family=family, backlog=256)
    except (OSError, OverflowError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise OutputError(
            f"{host}:{port}: cannot listen ({reason}); choose another port, 0 takes a free one", option="port"
        ) from error
    # asyncio sends small answers at once only over sockets that say they are TCP's, which `create_server` leaves out;
    # else a kept connection's body waits behind its head for the client's acknowledgement, 40 ms
    return socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP, fileno=own.detach())


def _url(own: socket.socket) -> str:
    host, port = own.getsockname()[:2]
    name = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)
    return f"http://{name}:{port}"


def _addresses(base: str, format: TileFormat, token: str | None, *, open_to_all: bool) -> Addresses:
    query = f"?token={token}" if token else ""
    warning = None
    if open_to_all and not token:
        warning = (
            "warning: anyone who reaches this machine can see this map and load the machine; a token restricts access"
        )
    places = ("/", "/tilejson.json", f"/{{z}}/{{x}}/{{y}}{SUFFIXES[format]}", "/WMTSCapabilities.xml")
    page, tilejson, tiles, wmts = (f"{base}{place}{query}" for place in places)
    return Addresses(page, tilejson, tiles, None if format == "mvt" else wmts, warning)
