"""Scenes to maps: each job as one call, from files to files."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from geo2map.api.classes import resolve_classes
from geo2map.api.gridding import resolve_grid
from geo2map.api.options import RenderOptions
from geo2map.errors import PlanError, TileSetError
from geo2map.files.address import is_file_path, scene_name
from geo2map.files.atomic import write_whole
from geo2map.files.place import check_place, require_apart
from geo2map.model import ModelCard, ModelOptions
from geo2map.outputs import check_output, end_publishing, find_complete, open_output
from geo2map.pipeline.report import Report
from geo2map.pipeline.run import run
from geo2map.plan import Job, Plan, Storage, make_plan
from geo2map.plan.job import library_versions
from geo2map.protocols import Begin, Progress
from geo2map.scene import Imagery, ReadingOptions, open_scenes
from geo2map.scene.discover import Found, find_imagery
from geo2map.scene.tile_folder import is_tile_folder
from geo2map.tiles.inventory import FAILED_NAME
from geo2map.types import PathLike

if TYPE_CHECKING:
    from geo2map.engine import Engine

Scenes = PathLike | Sequence[PathLike]
"""One scene or several: files, folders, patterns, URLs, or a folder of tiles; see `geo2map.open_scenes`."""


def render(
    scenes: Scenes,
    out: PathLike,
    *,
    engine: Engine | ModelOptions | PathLike = "sat2map",
    progress: Progress | None = None,
    begin: Begin | None = None,
    **options: Any,
) -> Report:
    """Renders a scene, several as one, or a folder of tiles, as a map.

    An interrupted run of the same job is taken up again, a finished output of it is left as it is. What is cheap to
    refuse is refused first.

    Args:
        scenes: rasters with a CRS; anything rasterio opens.
        out: a folder for XYZ tiles, or a file; see `geo2map.outputs.CONTAINERS`.
        engine: a loaded engine, or which model to load.
        progress: see `geo2map.run`.
        begin: told what a user should know before the work begins.
        options: the fields of `geo2map.PlanOptions`, e.g. zoom=17, of `geo2map.Storage`, e.g. format="webp", of
            `geo2map.OutputOptions`, e.g. overwrite=True, the keywords of `geo2map.open_scenes`, and on_error.

    Raises:
        Geo2MapError: one of its children, with one plain sentence.
    """
    chosen = RenderOptions.of(options)
    found = check_out(scenes, out, chosen)
    return Rendering(out, chosen, progress, begin, found).translate(scenes, as_choice(engine))


def tile(
    scenes: Scenes,
    out: PathLike,
    *,
    card: ModelCard,
    progress: Progress | None = None,
    begin: Begin | None = None,
    **options: Any,
) -> Report:
    """Cuts a scene, or several as one, into XYZ tiles for a model, colours applied, nothing translated. Lossless (PNG).

    Rendering the tiles gives the same pixels at maxzoom as rendering the scene.
    """
    chosen = RenderOptions.of({**options, "format": "png"})
    if chosen.storage.with_source:
        raise PlanError(
            "tiles that are cut are the imagery itself: leave the source out", option="with_source", usage=True
        )
    found = check_out(scenes, out, replace(chosen, storage=replace(chosen.storage, format=None)))
    return Rendering(out, chosen, progress, begin, found).cut(scenes, card)


def translate_tiles(tiles: PathLike, out: PathLike, **arguments: Any) -> Report:
    """Renders a folder of XYZ tiles at its maxzoom, each block reading its neighbours for the margin.

    Args:
        tiles: made by `geo2map.tile` or by anyone else (256 px).
        out, arguments: as `render` has them; zoom picks one of the folder's zooms.

    Raises:
        TileSetError: no such folder, or no tiles in it.
    """
    if is_tile_folder(tiles) is None:
        raise TileSetError(f"{tiles} is no folder of tiles named {{z}}/{{x}}/{{y}}.png, .webp or .jpg: check the path")
    return render(tiles, out, **arguments)


class Rendering:
    """One call on its way: from options to a report."""

    def __init__(
        self,
        out: PathLike,
        options: RenderOptions,
        progress: Progress | None,
        begin: Begin | None = None,
        found: Found | None = None,
    ) -> None:
        self.out, self.options, self.progress, self.begin, self.found = out, options, progress, begin, found

    def translate(
        self, scenes: Scenes, engine: Engine | ModelOptions, load: Callable[[], Engine] | None = None
    ) -> Report:
        """Renders with a model, which is loaded when the scene has proved to be worth it.

        Args:
            load: what loads it, where several scenes share one.
        """
        card = engine.load_card() if isinstance(engine, ModelOptions) else engine.card
        with self._open(scenes) as opened:
            plan = make_plan(opened, card, self.options.planning)
            job = self._job(opened, plan, engine)
            if (complete := self._complete(job)) is not None:
                return complete
            loaded = load() if load is not None else as_engine(engine)
            return self._run(opened, on_engine(job, loaded), loaded)

    def cut(self, scenes: Scenes, card: ModelCard) -> Report:
        """Cuts for a model, which is not loaded."""
        with self._open(scenes) as opened:
            plan = make_plan(opened, card, self.options.planning).untranslated()
            facts = {"colours_for": card.name}
            job = self._job(opened, plan, None, facts)
            if (complete := self._complete(job)) is not None:
                return complete
            return self._run(opened, job, None)

    @contextmanager
    def _open(self, scenes: Scenes) -> Iterator[Imagery]:
        """Opens what is rendered; the output must not be a file that it is read from, such as a source of a VRT."""
        reading = asdict(self.options.reading)
        with open_scenes(scenes, on_error=self.options.on_error, found=self.found, **reading) as opened:
            require_apart(self.out, opened.files)
            yield opened

    def _job(
        self,
        opened: Imagery,
        plan: Plan,
        engine: Engine | ModelOptions | None,
        facts: Mapping[str, Any] | None = None,
    ) -> Job:
        chosen = self.options
        return make_job(opened, plan, engine, storage=chosen.storage, reading=chosen.reading, facts=facts)

    def _complete(self, job: Job) -> Report | None:
        return find_complete(self.out, job, self.options.output)

    def _run(self, opened: Imagery, job: Job, engine: Engine | None) -> Report:
        with opened.at(job.plan.view) as source, open_output(self.out, job, self.options.output) as output:
            report = run(
                source, engine, output, on_error=self.options.on_error, progress=self.progress, begin=self.begin
            )
        write_failures(self.out, report)
        return report


def make_job(
    scene: Imagery,
    plan: Plan,
    engine: Engine | ModelOptions | None,
    *,
    storage: Storage | None = None,
    reading: ReadingOptions | None = None,
    facts: Mapping[str, Any] | None = None,
) -> Job:
    """The job of rendering a scene by a plan.

    Args:
        engine: what will translate, or which model; None where tiles are only cut.
        storage: how tiles are stored; None takes the defaults.
        reading: how the scene was opened.
        facts: what the output's document says besides.
    """
    runner = None if engine is None else _Runner.of(engine)
    stored = resolve_classes(storage or Storage(), runner.card if runner else None)
    return Job(
        scenes=scene.identities,
        reading=reading or ReadingOptions(),
        plan=plan,
        storage=resolve_grid(stored, scene, plan, reading or ReadingOptions()).resolve(plan),
        precision=runner.precision if runner else "",
        device=runner.device if runner else "",
        versions=library_versions(translating=runner is not None),
        facts={**_facts(scene, runner.card if runner else None), **(facts or {})},
    )


def on_engine(job: Job, engine: Engine | None) -> Job:
    """A job of a model that was only named, on the engine that has it loaded now."""
    return job if engine is None else replace(job, precision=engine.precision, device=engine.device.type)


class _Runner(NamedTuple):
    """What a job says of its engine, which need not be loaded for that."""

    card: ModelCard
    precision: str
    device: str

    @classmethod
    def of(cls, engine: Engine | ModelOptions) -> _Runner:
        if not isinstance(engine, ModelOptions):
            return cls(engine.card, engine.precision, engine.device.type)
        precision = "fp32" if engine.precision == "auto" else engine.precision
        return cls(engine.load_card(), precision, engine.device.split(":")[0])


def _facts(scene: Imagery, card: ModelCard | None) -> dict[str, Any]:
    """What whoever opens the output may want to know: names of scenes, no paths, and what the colours stand for."""
    facts: dict[str, Any] = {"scenes": sorted({scene_name(identity.path) for identity in scene.identities})}
    if card is not None and card.palette is not None:
        facts["legend"] = [[name, list(colour)] for name, colour in card.palette.entries]
    return facts


def as_choice(engine: Engine | ModelOptions | PathLike) -> Engine | ModelOptions:
    """A model's name or file as options; anything else as it is."""
    return ModelOptions(model=engine) if isinstance(engine, str | Path) else engine


def as_engine(engine: Engine | ModelOptions | PathLike) -> Engine:
    """A loaded engine.

    Raises:
        ModelFileError: not a model.
        DeviceError: the device is not there.
    """
    engine = as_choice(engine)
    if not isinstance(engine, ModelOptions):
        return engine
    from geo2map.engine import load_engine  # torch takes a second to import

    return load_engine(**asdict(engine))


def write_failures(out: PathLike, report: Report) -> Path | None:
    """Lists the blocks that could not be read in a failed.geojson, in a folder of tiles or beside a file.

    Returns:
        Where; None where there are none, and then such a list of an earlier run is removed.
    """
    final = Path(out)
    path = final / FAILED_NAME if final.is_dir() else final.with_name(f"{final.stem}.{FAILED_NAME}")
    if not report.failed:
        path.unlink(missing_ok=True)
        return None
    write_whole(path, report.failed_geojson().encode())
    return path


def check_out(scenes: Scenes, out: PathLike, options: RenderOptions) -> Found | None:
    """Refuses at once an output that cannot be: the scene itself, or what `check_output` refuses.

    Returns:
        The scenes that were found, for `open_scenes`; None for a folder of tiles.
    """
    tiles = is_tile_folder(scenes)
    found = find_imagery(scenes) if tiles is None else None
    files = [scene for scene in map(str, found[0] if found else [tiles]) if is_file_path(scene)]
    check_place(out, keep=files)
    end_publishing(out, runs=False)  # a run's own is ended where it is taken up
    check_output(out, options.output, options.storage)
    return found
