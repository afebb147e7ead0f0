"""Running the server: uvicorn on a socket of our own, so that a taken port is one sentence. Needs the extra `serve`."""

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

LOOPBACK = ("127.0.0.1", "::1", "localhost")
MOST_CONNECTIONS = 1000
LONGEST_HEAD = 16 * 1024
"""Bytes of a request's first line and headers."""


@dataclass(frozen=True)
class Addresses:
    """Where a server can be found.

    Attributes:
        page: the viewer.
        wmts: for QGIS.
        tilejson: for MapLibre.
        tiles: a tile's URL, with {z}, {x} and {y} in it, for Leaflet.
        warning: a sentence on who can see it, None where only this machine can.
    """

    page: str
    wmts: str
    tilejson: str
    tiles: str
    warning: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """The addresses as JSON-able values."""
        return {"page": self.page, "wmts": self.wmts, "tilejson": self.tilejson, "tiles": self.tiles}

    def __str__(self) -> str:
        lines = [f"map       {self.page}", f"QGIS      {self.wmts}", f"MapLibre  {self.tilejson}"]
        return "\n".join([*lines, f"Leaflet   {self.tiles}", "Ctrl-C ends it."])


@dataclass(frozen=True, kw_only=True)
class Listening:
    """Where to listen, and whom to tell.

    Attributes:
        host: of this machine; another one than 127.0.0.1 lets others in.
        port: 0 takes a free one.
        browser: whether to open the page in a browser.
        ready: told the addresses when they can be asked.
    """

    host: str = "127.0.0.1"
    port: int = 0
    browser: bool = False
    ready: Callable[[Addresses], None] | None = None


def bind(listening: Listening) -> socket.socket:
    """The socket to serve at; whoever comes early waits. A context manager that closes it.

    Raises:
        OutputError: the port is taken, or the host is none of this machine's.
    """
    return _listen(listening.host, listening.port)


def run_app(
    app: Starlette,
    own: socket.socket,
    listening: Listening,
    suffix: str,
    token: str | None = None,
    base: str | None = None,
) -> None:
    """Serves an app until this process is told to stop.

    Args:
        own: what `bind` made.
        suffix: of a tile's name.
        token: that requests must bring.
        base: the URL under which others see this server, without a slash at its end; None is that of the socket.

    Raises:
        KeyboardInterrupt: Ctrl-C, when all is put away.
    """
    found = _addresses(base or _url(own), suffix, token, open_to_all=listening.host not in LOOPBACK)
    if listening.ready is not None:
        listening.ready(found)
    if listening.browser:
        Thread(target=webbrowser.open, args=(found.page,), daemon=True).start()
    make_server(app).run(sockets=[own])


def make_server(app: Starlette) -> uvicorn.Server:
    """A server with limits on all that a stranger may make big. One process: the blocks in work are in its memory."""
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
            f"{host}:{port} cannot be listened at ({reason}): choose another port, 0 takes a free one", option="port"
        ) from error
    # asyncio sends small answers at once only over sockets that say they are TCP's, which `create_server` leaves out;
    # else a kept connection's body waits behind its head for the client's acknowledgement, 40 ms
    return socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP, fileno=own.detach())


def _url(own: socket.socket) -> str:
    host, port = own.getsockname()[:2]
    name = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)
    return f"http://{name}:{port}"


def _addresses(base: str, suffix: str, token: str | None, *, open_to_all: bool) -> Addresses:
    query = f"?token={token}" if token else ""
    warning = None
    if open_to_all and not token:
        warning = (
            "warning: anyone who can reach this machine can view this map and keep it busy; set a token to prevent that"
        )
    places = ("/", "/WMTSCapabilities.xml", "/tilejson.json", f"/{{z}}/{{x}}/{{y}}{suffix}")
    page, wmts, tilejson, tiles = (f"{base}{place}{query}" for place in places)
    return Addresses(page, wmts, tilejson, tiles, warning)
