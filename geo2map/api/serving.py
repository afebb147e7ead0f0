"""Maps on the web: made where somebody looks, or finished ones shown."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, Unpack

from geo2map.api.jobs import on_engine
from geo2map.api.keywords import ServeKeywords, pick_options, require_known
from geo2map.api.models import ModelLike
from geo2map.api.requests import RenderRequest, option_values, resolve
from geo2map.errors import OutputError, PlanError, missing_extra
from geo2map.formats.opened import find_layers, open_tiles
from geo2map.formats.vectors.on_demand import FeatureTiles
from geo2map.formats.vectors.read import FeatureFile, is_vector_file
from geo2map.ledger import find_complete, open_output
from geo2map.ledger.feature_conversion import tileset_like
from geo2map.live import LiveMap, LiveOptions, ServedSite, StoredLayer
from geo2map.live.site import check_entrance
from geo2map.plan.storage import Storage
from geo2map.protocols import Begin, StoredTiles
from geo2map.scene import Scenes, SceneSelection
from geo2map.threads import start_threads
from geo2map.tiles.layer import MAP
from geo2map.tiles.tilejson import TileSet
from geo2map.types import PathLike

if TYPE_CHECKING:
    from socket import socket

    from starlette.applications import Starlette

    from geo2map.live.run import Addresses, Listening

READERS = 2


@dataclass(frozen=True, kw_only=True)
class ServeRequest(RenderRequest):
    """Scenes to be rendered on demand.

    Attributes:
        out: an output that collects the blocks, for a later `geo2map.render` to complete; None keeps them in memory.
        under: a finished set of tiles, for zooms that are too low to be rendered on demand.
        token: a word that every request must carry.
        address: the server's public URL, e.g. behind a proxy.
        live: limits on queue and memory.
    """

    under: PathLike | None = None
    token: str | None = None
    address: str | None = None
    live: LiveOptions = field(default_factory=LiveOptions)

    def __post_init__(self) -> None:
        super().__post_init__()
        check_entrance(self.token, self.address)

    @classmethod
    def of_live(cls, scenes: Scenes | SceneSelection, engine: ModelLike, options: ServeKeywords) -> Self:
        """The request of a call with keywords.

        Raises:
            TypeError: an unknown keyword.
            Geo2MapError: a value that makes no sense.
        """
        require_known(options, ServeKeywords)
        address, rest = options.get("address"), {name: value for name, value in options.items() if name != "address"}
        return cls(
            scenes=scenes,
            model=engine,
            out=options.get("keep"),
            under=options.get("under"),
            token=options.get("token"),
            address=address,
            live=pick_options(LiveOptions, rest),
            **option_values(rest),
        )


def open_live(
    scenes: Scenes,
    *,
    engine: ModelLike = "sat2map",
    begin: Begin | None = None,
    **options: Unpack[ServeKeywords],
) -> AbstractContextManager[LiveMap]:
    """A map whose tiles are rendered on demand; blocks in work are finished and stored at the end.

    Args:
        scenes, engine, begin: see `geo2map.render`.
        options: see `geo2map.api.keywords.ServeKeywords`.

    Raises:
        Geo2MapError: whatever `geo2map.render` raises for scene, model and output.
    """
    return open_live_request(ServeRequest.of_live(scenes, engine, options), begin=begin)


@contextmanager
def open_live_request(request: ServeRequest, *, begin: Begin | None = None) -> Iterator[LiveMap]:
    """The live map of a request; see `open_live`."""
    resolved, keep = resolve(request), request.out
    with ExitStack() as stack:
        under = None if request.under is None else stack.enter_context(open_tiles(request.under))
        opened = stack.enter_context(resolved.open())
        plan = resolved.plan(opened)
        job = resolved.job(opened, plan)
        if job.storage.is_derived:
            raise PlanError(
                "features are read from a whole map, so a live map has none: render it, then view it",
                option="redraw" if job.storage.redraw else "vector",
            )
        if keep is not None and find_complete(keep, job, request.output) is not None:
            raise _complete(keep)
        if begin is not None:
            begin(plan.name, plan.notes)
        loaded = stack.enter_context(resolved.engine())
        job = on_engine(job, loaded)
        sources = [stack.enter_context(opened.at(plan.view)) for _ in range(READERS)]
        output = None
        if keep is not None:
            output = stack.enter_context(open_output(keep, job, request.output))
            if output.complete:
                raise _complete(keep)
        yield stack.enter_context(LiveMap(job, sources, loaded, request.live, output=output, under=under))


def _complete(keep: PathLike) -> OutputError:
    return OutputError(f"{keep} is complete: view it with geo2map view", option="keep")


def live_app(
    scenes: Scenes, *, engine: ModelLike = "sat2map", begin: Begin | None = None, **options: Unpack[ServeKeywords]
) -> Starlette:
    """The live map of some scenes as an ASGI app, for any ASGI server; run one process only.

    Args:
        scenes, engine, begin, options: see `open_live`.

    Raises:
        Geo2MapError: as `open_live`; or the extra `serve` is missing.
    """
    make_app, request, stack = _need("app").make_app, ServeRequest.of_live(scenes, engine, options), ExitStack()
    live = stack.enter_context(open_live_request(request, begin=begin))
    app: Starlette = make_app(_site(live, request), stack.close)
    return app


def serve(
    scenes: Scenes,
    *,
    engine: ModelLike = "sat2map",
    begin: Begin | None = None,
    listening: Listening | None = None,
    **options: Unpack[ServeKeywords],
) -> None:
    """Serves the live map of some scenes until this process is told to stop.

    Args:
        listening: where, and a callback for the addresses; default 127.0.0.1 and any free port, which is printed.
        scenes, engine, begin, options: see `open_live`.

    Raises:
        Geo2MapError: as `open_live`; the extra `serve` is missing; or the port is taken.
        KeyboardInterrupt: Ctrl-C; notes what was kept.
    """
    serve_request(ServeRequest.of_live(scenes, engine, options), begin=begin, listening=listening)


def serve_request(request: ServeRequest, *, begin: Begin | None = None, listening: Listening | None = None) -> None:
    """Serves the live map of a request; see `serve`."""
    where = listening or listen(ready=print)
    with _need("run").bind(where) as own, open_live_request(request, begin=begin) as live:
        _run(_site(live, request), own, where)


def view(
    path: PathLike, *, listening: Listening | None = None, token: str | None = None, address: str | None = None
) -> None:
    """Shows a finished set of tiles in a browser until this process is told to stop.

    Args:
        path: a folder of tiles, an .mbtiles or a .pmtiles file, or a .tif on the tile grid; or a GeoPackage, whose
            vector tiles are made on demand.
        listening, token, address: as `serve` has them.

    Raises:
        TileSetError: no such set.
        Geo2MapError: the extra `serve` is missing, or the port is taken.
    """
    check_entrance(token, address)
    where = listening or listen(ready=print)
    with _need("run").bind(where) as own, stored_site(path, token=token, address=address) as site:
        _run(site, own, where)


@contextmanager
def stored_site(path: PathLike, *, token: str | None = None, address: str | None = None) -> Iterator[ServedSite]:
    """A finished set of tiles as a site; see `view`."""
    path = Path(path)
    with ExitStack() as stack, start_threads(2, "files") as threads:
        store, tileset = stack.enter_context(_open_map(path))
        further = {
            name: StoredLayer(*stack.enter_context(open_tiles(place)), threads)
            for name, place in find_layers(path, tileset).items()
            if name != MAP
        }
        archive = path if path.suffix.lower() == ".pmtiles" and path.is_file() else None
        layer = StoredLayer(store, tileset, threads)
        yield ServedSite(map=layer, further=further, archive=archive, token=token, address=address)


@contextmanager
def _open_map(path: Path) -> Iterator[tuple[StoredTiles, TileSet]]:
    """A finished set of tiles, or vector tiles made on demand from a GeoPackage."""
    if is_vector_file(path):
        features = FeatureFile.open(path)
        yield FeatureTiles(features), tileset_like(features.tileset, Storage(vector=True))
        return
    with open_tiles(path) as opened:
        yield opened


def listen(
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    browser: bool = False,
    ready: Callable[[Addresses], None] | None = None,
) -> Listening:
    """Where a server listens; see `geo2map.live.run.Listening`.

    Raises:
        OutputError: the extra `serve` is missing.
    """
    listening: Listening = _need("run").Listening(host=host, port=port, browser=browser, ready=ready)
    return listening


def _site(live: LiveMap, request: ServeRequest) -> ServedSite:
    return ServedSite.of(live, token=request.token, address=request.address)


def _run(site: ServedSite, own: socket, listening: Listening) -> None:
    base = site.address.rstrip("/") if site.address else None
    _need("run").run_app(_need("app").make_app(site), own, listening, site.map.tileset.format, site.token, base)


def _need(module: str) -> Any:
    """A module that needs the extra `serve`.

    Raises:
        OutputError: it is not installed.
    """
    try:
        return import_module(f"geo2map.live.{module}")
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("geo2map"):
            raise
        raise OutputError(missing_extra(f"serving ({error.name})", "serve")) from error
