"""Requests: what a command or a call asks for, as one value that is resolved once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, get_args

from geo2map.api.jobs import make_job
from geo2map.api.keywords import ConvertKeywords, DrawKeywords, RenderKeywords, pick_options, require_known
from geo2map.api.models import ModelLike, ResolvedModel, resolve_model
from geo2map.api.planning import plan_with
from geo2map.errors import PlanError
from geo2map.files.place import check_place, require_apart
from geo2map.formats.containers import Container
from geo2map.ledger import OutputOptions, check_output, finish_publishing
from geo2map.ledger.checks import occupied
from geo2map.model import ModelCard, ModelOptions
from geo2map.plan import Job, Plan, PlanOptions, Storage
from geo2map.scene import Imagery, ReadingOptions, Scenes, SceneSelection, open_imagery, select_scenes
from geo2map.types import OnError, PathLike

if TYPE_CHECKING:
    from geo2map.engine import Engine


@dataclass(frozen=True, kw_only=True)
class RenderRequest:
    """Scenes to be rendered; refused at construction where a value makes no sense.

    Attributes:
        scenes: rasters with a CRS, a folder of tiles, or a selection of either.
        out: the output; None where nothing is written.
        model: the model that translates; its card alone cuts tiles for it and translates nothing.
        reading: how scenes are read.
        planning: zoom, colours, area.
        storage: how tiles are stored.
        output: what happens to an existing output.
        on_error: "fail" or "skip", see `geo2map.run`.
    """

    scenes: Scenes | SceneSelection
    out: PathLike | None = None
    model: ModelLike | ModelCard | ResolvedModel = field(default_factory=ModelOptions)
    reading: ReadingOptions = field(default_factory=ReadingOptions)
    planning: PlanOptions = field(default_factory=PlanOptions)
    storage: Storage = field(default_factory=Storage)
    output: OutputOptions = field(default_factory=OutputOptions)
    on_error: OnError = "fail"

    def __post_init__(self) -> None:
        if self.on_error not in get_args(OnError):
            raise PlanError(
                f"on_error {self.on_error!r} is not supported: give {' or '.join(get_args(OnError))}",
                option="on_error",
                usage=True,
            )

    @classmethod
    def of(
        cls,
        scenes: Scenes | SceneSelection,
        out: PathLike | None,
        model: ModelLike | ModelCard | ResolvedModel,
        options: RenderKeywords,
    ) -> Self:
        """The request of a call with keywords.

        Raises:
            TypeError: an unknown keyword.
            Geo2MapError: a value that makes no sense.
        """
        require_known(options, RenderKeywords)
        return cls(scenes=scenes, out=out, model=model, **option_values(options))

    def require_whole(self, place: str) -> None:
        """Refuses to leave out blocks.

        Args:
            place: what cannot do that, e.g. "a cluster".

        Raises:
            PlanError: the request allows it.
        """
        if self.on_error != "fail":
            raise PlanError(
                f"{place} cannot leave out blocks: skipping needs an ordinary run", option="on_error", usage=True
            )


def option_values(options: Mapping[str, Any]) -> dict[str, Any]:
    """The options of a `RenderRequest`, by its fields."""
    return {
        "reading": pick_options(ReadingOptions, options),
        "planning": pick_options(PlanOptions, options),
        "storage": pick_options(Storage, options),
        "output": pick_options(OutputOptions, options),
        "on_error": options.get("on_error", "fail"),
    }


@dataclass(frozen=True, kw_only=True)
class ConvertRequest:
    """A finished set of tiles to be written as another kind of output.

    Attributes:
        source: a folder of tiles, an .mbtiles, a .pmtiles or a .tif on the tile grid.
        out: any kind of output, see `geo2map.formats.CONTAINERS`.
        bounds: west, south, east, north in degrees: tiles that touch them are taken whole; None takes all.
        zooms: lowest and largest; None takes all.
        storage: format (None keeps the tiles' bytes), quality, lossless, scheme, compress and bare; vector, redraw,
            style and crs_out of features.
        colours: which colour is which class, where the source does not say: "maps", or a table of class, red, green,
            blue.
        output: overwrite and tmp.
    """

    source: PathLike
    out: PathLike
    bounds: tuple[float, float, float, float] | None = None
    zooms: tuple[int, int] | None = None
    colours: str | Path | None = None
    storage: Storage = field(default_factory=Storage)
    output: OutputOptions = field(default_factory=OutputOptions)

    @classmethod
    def of(cls, source: PathLike, out: PathLike, options: ConvertKeywords) -> Self:
        """The request of a call with keywords.

        Raises:
            TypeError: an unknown keyword.
            Geo2MapError: a value that makes no sense.
        """
        require_known(options, ConvertKeywords)
        return cls(
            source=source,
            out=out,
            bounds=options.get("bounds"),
            zooms=options.get("zooms"),
            colours=options.get("colours"),
            storage=pick_options(Storage, options),
            output=pick_options(OutputOptions, options),
        )

    @property
    def choices(self) -> dict[str, Any]:
        """The options that decide the output's bytes, as its record holds them."""
        stored = ("format", "quality", "lossless", "scheme", "compress", "bare", "vector", "redraw", "crs_out")
        chosen = {"bounds": self.bounds, "zooms": self.zooms, "colours": self.colours}
        return chosen | {name: getattr(self.storage, name) for name in stored} | {"style": style_name(self.storage)}


@dataclass(frozen=True, kw_only=True)
class DrawRequest:
    """Features to be drawn as raster tiles.

    Attributes:
        source: a GeoPackage that geo2map wrote.
        out: any kind of output that holds pixels.
        zoom: to draw at; None is the map's.
        storage: style, format, quality, lossless, minzoom, palette, scheme, compress and bare.
        output: overwrite and tmp.
    """

    source: PathLike
    out: PathLike
    zoom: int | None = None
    storage: Storage = field(default_factory=Storage)
    output: OutputOptions = field(default_factory=OutputOptions)

    @classmethod
    def of(cls, source: PathLike, out: PathLike, options: DrawKeywords) -> Self:
        """The request of a call with keywords.

        Raises:
            TypeError: an unknown keyword.
            Geo2MapError: a value that makes no sense.
        """
        require_known(options, DrawKeywords)
        return cls(
            source=source,
            out=out,
            zoom=options.get("zoom"),
            storage=pick_options(Storage, {**options, "redraw": True}),
            output=pick_options(OutputOptions, options),
        )

    @property
    def choices(self) -> dict[str, Any]:
        """The options that decide the output's bytes, as its record holds them."""
        stored = ("format", "quality", "lossless", "minzoom", "palette", "scheme", "compress", "bare")
        chosen = {name: getattr(self.storage, name) for name in stored}
        return {"zoom": self.zoom, **chosen, "style": style_name(self.storage)}


def style_name(storage: Storage) -> dict[str, Any] | None:
    """The style of a storage as plain values; None is that of the map."""
    return None if (style := storage.feature_style) is None else style.to_dict()


@dataclass(frozen=True)
class ResolvedRequest:
    """A request after one look at path, container, scenes and card.

    Attributes:
        request: what was asked.
        scenes: the search's result.
        model: with its card; the weights are not loaded.
        container: of the output; None where nothing is written.
    """

    request: RenderRequest
    scenes: SceneSelection
    model: ResolvedModel
    container: Container | None

    @property
    def out(self) -> PathLike:
        """Where the output goes."""
        assert self.request.out is not None, "the request has an output"
        return self.request.out

    @contextmanager
    def open(self) -> Iterator[Imagery]:
        """Opens the scenes.

        Raises:
            SceneError: a scene is missing, not a raster, or damaged.
            OutputError: the output is a file that they are read from, such as a source of a VRT.
        """
        with open_imagery(self.scenes, self.request.reading, on_error=self.request.on_error) as imagery:
            if self.request.out is not None:
                self._require_apart(imagery.files)
            yield imagery

    def _require_apart(self, files: Sequence[str]) -> None:
        assert self.container is not None, "the request has an output"
        for place in occupied(self.out, self.container, self.request.storage.layers):
            require_apart(place, files)

    def plan(self, imagery: Imagery) -> Plan:
        """The plan of the opened scenes; loads the model where they have to show how far to match them."""
        return plan_with(self.model, imagery, self.request.planning, out=self.request.out)

    @contextmanager
    def closing(self) -> Iterator[None]:
        """Closes the model afterwards if it was loaded for planning, unless several requests share it."""
        try:
            yield
        finally:
            if self.model is not self.request.model:
                self.model.close()

    @contextmanager
    def engine(self) -> Iterator[Engine | None]:
        """The loaded model, None where nothing is translated; closed afterwards, unless several requests share it.

        Raises:
            ModelFileError: not a model.
            DeviceError: the device is missing.
        """
        with self.closing():
            yield self.model.engine

    def job(self, imagery: Imagery, plan: Plan) -> Job:
        """The job of a plan; its device is only named until the model is loaded."""
        facts = {} if self.model.translates else {"colours_for": self.model.card.name, "favours": dict(plan.favours)}
        storage = self.request.storage
        if self.container is not None:
            storage = self.container.adapt(storage)
            self.container.check_size(plan.window)
        return make_job(imagery, plan, self.model, storage=storage, reading=self.request.reading, facts=facts)


def resolve(request: RenderRequest) -> ResolvedRequest:
    """Looks at scenes, output and card, each once; what is cheap to refuse is refused here.

    Raises:
        SceneError: no scenes.
        OutputError: an output that cannot be written, or exists.
        ModelFileError: not a model.
    """
    scenes, container = select_scenes(request.scenes), None
    if request.out is not None:
        check_place(request.out, keep=scenes.files)
        finish_publishing(request.out, runs=False)  # `open_output` finishes that of a run
        container = check_output(request.out, request.output, request.storage)
    return ResolvedRequest(request, scenes, resolve_model(request.model), container)
