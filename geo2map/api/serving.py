"""Maps on the web: made where somebody looks, or finished ones shown."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field, fields
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from geo2map.api.converting import open_tiles
from geo2map.api.options import RenderOptions
from geo2map.api.rendering import Scenes, as_choice, as_engine, check_out, make_job, on_engine
from geo2map.errors import OutputError, PlanError, missing_extra
from geo2map.live import LiveMap, LiveOptions, ServedSite, StoredLayer
from geo2map.live.site import check_entrance
from geo2map.model import ModelOptions
from geo2map.outputs import find_complete, open_output
from geo2map.plan import make_plan
from geo2map.protocols import Begin
from geo2map.scene import Imagery, open_scenes
from geo2map.tiles.codec import SUFFIXES
from geo2map.tiles.folder import XyzFolder
from geo2map.types import PathLike

if TYPE_CHECKING:
    from socket import socket

    from starlette.applications import Starlette

    from geo2map.engine import Engine
    from geo2map.live.run import Listening

READERS = 2


@dataclass(frozen=True, kw_only=True)
class ServeOptions:
    """What is served, beside the map itself.

    Attributes:
        keep: an output that what was looked at is put into, for a later `geo2map.render` to complete; None keeps it in
            memory.
        under: a finished set of tiles, for zooms that are too low to be made on demand.
        token: a word that every request must bring.
        address: the URL under which others see the server, e.g. behind a proxy.
        live: what it may take of this machine.
    """

    keep: PathLike | None = None
    under: PathLike | None = None
    token: str | None = None
    address: str | None = None
    live: LiveOptions = field(default_factory=LiveOptions)

    def __post_init__(self) -> None:
        check_entrance(self.token, self.address)

    @classmethod
    def pick(cls, options: dict[str, Any]) -> ServeOptions:
        """Takes its own keywords, and those of `LiveOptions`, out of others."""
        live = {known.name: options.pop(known.name) for known in fields(LiveOptions) if known.name in options}
        own: dict[str, Any] = {known.name: options.pop(known.name) for known in fields(cls) if known.name in options}
        return cls(**{"live": LiveOptions(**live), **own})


@contextmanager
def open_live(
    scenes: Scenes,
    *,
    engine: Engine | ModelOptions | PathLike = "sat2map",
    begin: Begin | None = None,
    **options: Any,
) -> Iterator[LiveMap]:
    """A map whose tiles are made when they are asked for; what was begun is put away at the end.

    Args:
        scenes, engine: as `geo2map.render` has them.
        options: those of `geo2map.render` but on_error, with begin; and the fields of `ServeOptions` and of
            `geo2map.live.LiveOptions`.

    Raises:
        Geo2MapError: whatever `geo2map.render` raises of scene, model and output.
    """
    wanted = ServeOptions.pick(options)
    chosen = RenderOptions.of(options)
    if chosen.storage.with_source:
        raise PlanError(
            "a live map shows its imagery in any case: leave the source out", option="with_source", usage=True
        )
    if wanted.keep is not None:
        check_out(scenes, wanted.keep, chosen)
    choice = as_choice(engine)
    card = choice.load_card() if isinstance(choice, ModelOptions) else choice.card
    with ExitStack() as stack:
        under = None if wanted.under is None else stack.enter_context(open_tiles(wanted.under))
        opened: Imagery = open_scenes(scenes, **asdict(chosen.reading))
        stack.enter_context(opened)
        plan = make_plan(opened, card, chosen.planning)
        job = make_job(opened, plan, choice, storage=chosen.storage, reading=chosen.reading)
        if wanted.keep is not None and find_complete(wanted.keep, job, chosen.output) is not None:
            raise _complete(wanted.keep)
        if begin is not None:
            begin(plan.name, plan.notes)
        loaded = as_engine(choice)
        job = on_engine(job, loaded)
        sources = [stack.enter_context(opened.at(plan.view)) for _ in range(READERS)]
        output = None
        if wanted.keep is not None:
            output = stack.enter_context(open_output(wanted.keep, job, chosen.output))
            if output.complete:
                raise _complete(wanted.keep)
        yield stack.enter_context(LiveMap(job, sources, loaded, wanted.live, output=output, under=under))


def _complete(keep: PathLike) -> OutputError:
    return OutputError(f"{keep} is complete: look at it with geo2map view", option="keep")


def live_app(scenes: Scenes, **options: Any) -> Starlette:
    """The live map of some scenes as an ASGI app, for a server of one's own; one process, please.

    Args:
        scenes, options: as `open_live` has them.

    Raises:
        Geo2MapError: as `open_live`; or the extra `serve` is missing.
    """
    make_app = _need("app").make_app
    stack = ExitStack()
    live = stack.enter_context(open_live(scenes, **options))
    app: Starlette = make_app(_site(live, ServeOptions.pick(dict(options))), stack.close)
    return app


def serve(scenes: Scenes, *, listening: Listening | None = None, **options: Any) -> None:
    """Serves the live map of some scenes until this process is told to stop.

    Args:
        listening: where, and whom to tell; default 127.0.0.1 and any free port, which is printed.
        scenes, options: as `open_live` has them.

    Raises:
        Geo2MapError: as `open_live`; the extra `serve` is missing; or the port is taken.
        KeyboardInterrupt: Ctrl-C; says what was kept.
    """
    wanted, where = ServeOptions.pick(dict(options)), listening or listen(ready=print)
    with _need("run").bind(where) as own, open_live(scenes, **options) as live:
        _run(_site(live, wanted), own, where)


def view(
    path: PathLike, *, listening: Listening | None = None, token: str | None = None, address: str | None = None
) -> None:
    """Shows a finished set of tiles in a browser until this process is told to stop.

    Args:
        path: a folder of tiles, an .mbtiles or a .pmtiles file, or a .tif on the tile grid.
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
    with open_tiles(path) as (store, tileset), ThreadPoolExecutor(2, "files") as threads:
        source = None
        if path.is_dir() and (path / "source").is_dir() and XyzFolder(path / "source").zooms:
            with open_tiles(path / "source") as (below, described):
                source = StoredLayer(below, described, threads)
        archive = path if path.suffix.lower() == ".pmtiles" and path.is_file() else None
        layer = StoredLayer(store, tileset, threads)
        yield ServedSite(map=layer, source=source, archive=archive, token=token, address=address)


def listen(**options: Any) -> Listening:
    """Where a server shall listen: the fields of `geo2map.live.run.Listening`.

    Raises:
        OutputError: the extra `serve` is missing.
    """
    found: Listening = _need("run").Listening(**options)
    return found


def _site(live: LiveMap, wanted: ServeOptions) -> ServedSite:
    return ServedSite(
        map=live.map, source=live.source, live=live, token=wanted.token, address=wanted.address, tally=live.tally
    )


def _run(site: ServedSite, own: socket, listening: Listening) -> None:
    base = site.address.rstrip("/") if site.address else None
    suffix = SUFFIXES[site.map.tileset.format]
    _need("run").run_app(_need("app").make_app(site), own, listening, suffix, site.token, base)


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
