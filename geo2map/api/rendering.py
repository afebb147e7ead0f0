"""Scenes to maps: each job as one call, from files to files."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Unpack

from geo2map.api.jobs import on_engine
from geo2map.api.keywords import RenderKeywords
from geo2map.api.models import ModelLike, ResolvedModel, as_choice
from geo2map.api.requests import RenderRequest, resolve
from geo2map.errors import PlanError, TileSetError
from geo2map.files.atomic import write_whole
from geo2map.ledger import find_complete, open_output
from geo2map.model import ModelCard
from geo2map.pipeline.report import Report
from geo2map.pipeline.run import run
from geo2map.protocols import Begin, Progress
from geo2map.scene import Scenes
from geo2map.scene.selection import select_tiles
from geo2map.tiles.inventory import FAILED_NAME
from geo2map.types import PathLike


def render(
    scenes: Scenes,
    out: PathLike,
    *,
    engine: ModelLike = "sat2map",
    progress: Progress | None = None,
    begin: Begin | None = None,
    **options: Unpack[RenderKeywords],
) -> Report:
    """Renders a scene, several as one, or a folder of tiles, as a map.

    Resumes an interrupted run of the same job and leaves a finished output of it as it is. What is cheap to refuse is
    refused first.

    Args:
        scenes: rasters with a CRS; anything rasterio opens.
        out: a folder for XYZ tiles, or a file; see `geo2map.formats.CONTAINERS`.
        engine: a loaded engine, or the model to load.
        progress: see `geo2map.run`.
        begin: called with the plan's notes before the work begins.
        options: see `geo2map.api.keywords.RenderKeywords`, e.g. zoom=17, format="webp", overwrite=True.

    Raises:
        Geo2MapError: one of its children, with one plain sentence.
    """
    return render_request(RenderRequest.of(scenes, out, engine, options), progress=progress, begin=begin)


def tile(
    scenes: Scenes,
    out: PathLike,
    *,
    engine: ModelLike = "sat2map",
    card: ModelCard | None = None,
    progress: Progress | None = None,
    begin: Begin | None = None,
    **options: Unpack[RenderKeywords],
) -> Report:
    """Cuts a scene, or several as one, into XYZ tiles for a model, colours applied, nothing translated. Lossless (PNG).

    Translating the tiles with the model gives the same pixels at maxzoom as rendering the scene.

    Args:
        engine: the model that the tiles are for. Its network is loaded only where its card leaves open how far to match
            the colours of this scene: it is tried on samples, as by `render`.
        card: of a model that is not at hand, instead of it. Nothing can be tried, so colours that differ are matched as
            far as the card says for any scene, which may be further or less far than `render` matches this one.
        out, progress, begin, options: see `render`; no layers, and no format but PNG.

    Raises:
        Geo2MapError: one of its children, with one plain sentence.
    """
    with ResolvedModel(as_choice(engine) if card is None else card, translates=False) as model:
        return render_request(RenderRequest.of(scenes, out, model, options), progress=progress, begin=begin)


def translate_tiles(
    tiles: PathLike,
    out: PathLike,
    *,
    engine: ModelLike = "sat2map",
    progress: Progress | None = None,
    begin: Begin | None = None,
    **options: Unpack[RenderKeywords],
) -> Report:
    """Renders a folder of XYZ tiles at its maxzoom, each block reading its neighbours for the margin.

    Args:
        tiles: made by `geo2map.tile` or by anyone else (256 px).
        out, engine, progress, begin, options: see `render`; zoom selects one of the folder's zooms.

    Raises:
        TileSetError: no such folder, or no tiles in it.
    """
    request = tiles_request(RenderRequest.of(tiles, out, engine, options))
    return render_request(request, progress=progress, begin=begin)


def tiles_request(request: RenderRequest) -> RenderRequest:
    """The request, if its imagery is a folder of tiles.

    Raises:
        TileSetError: it is not.
    """
    if (selection := select_tiles(request.scenes)) is None:
        raise TileSetError(
            f"{request.scenes}: not a folder of tiles named {{z}}/{{x}}/{{y}}.png, .webp or .jpg; check the path"
        )
    return replace(request, scenes=selection)


def render_request(request: RenderRequest, *, progress: Progress | None = None, begin: Begin | None = None) -> Report:
    """Carries out a request; see `render` and, for the card of a model, `tile`."""
    resolved = resolve(request)
    if not resolved.model.translates:
        _require_cut(request)
    with resolved.open() as imagery, resolved.closing():
        job = resolved.job(imagery, resolved.plan(imagery))
        if (complete := find_complete(resolved.out, job, request.output)) is not None:
            return complete.at(resolved.out)
        with (
            resolved.engine() as engine,
            imagery.at(job.plan.view) as source,
            open_output(resolved.out, on_engine(job, engine), request.output) as output,
        ):
            report = run(source, engine, output, on_error=request.on_error, progress=progress, begin=begin)
    write_failures(resolved.out, report)
    return report.at(resolved.out)


def _require_cut(request: RenderRequest) -> None:
    """
    Raises:
        PlanError: storage that suits a map, not tiles that are cut.
    """
    if request.storage.layers:
        raise PlanError("cut tiles are the imagery itself: leave the layers out", option="layers", usage=True)
    if request.storage.format not in (None, "png"):
        raise PlanError("tiles are cut without loss, as PNG: leave the format out", option="format", usage=True)


def write_failures(out: PathLike, report: Report) -> Path | None:
    """Lists the blocks that could not be read in a failed.geojson, in a folder of tiles or beside a file.

    Returns:
        Its path; None where every block was read, and then the list of an earlier run is removed.
    """
    final = Path(out)
    path = final / FAILED_NAME if final.is_dir() else final.with_name(f"{final.stem}.{FAILED_NAME}")
    if not report.failed:
        path.unlink(missing_ok=True)
        return None
    write_whole(path, report.failed_geojson().encode())
    return path
