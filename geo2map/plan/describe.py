"""A scene's facts, and what rendering it would do, from one decimated read."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import mercantile
import numpy as np
import shapely
from rasterio.crs import CRS

from geo2map import grid
from geo2map.aoi import make_aoi
from geo2map.errors import AoiError, ResolutionError
from geo2map.grid import one_tile_zoom
from geo2map.model import ModelCard
from geo2map.plan import Plan, PlanOptions, choose_rendition, make_plan
from geo2map.scene import ColourTransform, Scene
from geo2map.scene.gdal import overview_factors
from geo2map.types import LngLatBounds

COLOURS = ("red", "green", "blue")


@dataclass(frozen=True, kw_only=True)
class SceneDescription:
    """A scene's facts and the default plan of `geo2map.render`.

    Attributes:
        name, path: the scene's.
        driver: GDAL's, e.g. "GTiff".
        width, height: pixels.
        dtypes, roles: numpy dtype and colour interpretation of each band.
        indexes: the bands used as red, green and blue, counted from 1.
        overviews: decimation factors of the file's overviews.
        crs: authority and code, or WKT.
        bounds: degrees; east is beyond 180 where the scene crosses the antimeridian.
        footprint: outline in degrees, a polygon, cut in two at the antimeridian.
        ground_resolution: metres per pixel on the ground.
        native_zoom: the zoom nearest to it.
        nodata: nodata value of each band read; None if not declared.
        alpha: the validity band or mask, by GDAL's name; None without one.
        nodata_share: share of pixels without data, 0 to 1.
        rendition: stretch and match of a render.
        colour_distance: grey levels from the model's imagery, after the stretch; None without colour statistics.
        tries_match: whether a render tries how far to match them; `rendition` is then as far as the card says.
        model: the model's name.
        plan: the plan of a render; None if it would be refused.
        refused: the reason, else None.
        notes: on how the scene is read.
    """

    name: str
    path: str
    driver: str
    width: int
    height: int
    dtypes: tuple[str, ...]
    roles: tuple[str, ...]
    indexes: tuple[int, int, int]
    overviews: tuple[int, ...]
    crs: str
    bounds: LngLatBounds
    footprint: shapely.Geometry
    ground_resolution: float
    native_zoom: int
    nodata: tuple[float, ...] | None
    alpha: str | None
    nodata_share: float
    rendition: ColourTransform
    colour_distance: float | None
    tries_match: bool
    model: str
    plan: Plan | None
    refused: str | None
    notes: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """JSON-able values; the footprint is a GeoJSON geometry, a nodata of NaN the string "nan"."""
        values = {name: getattr(self, name) for name in self.__dataclass_fields__ if name != "rendition"}
        return values | {
            "footprint": shapely.geometry.mapping(self.footprint),
            "nodata": self.nodata and [value if np.isfinite(value) else str(value) for value in self.nodata],
            "stretch": self.rendition.stretch,
            "matched": self.rendition.curves is not None,
            "plan": None if self.plan is None else json.loads(self.plan.to_json()),
        }

    def __str__(self) -> str:
        lines = (f"  {key:<12}{value}" for key, value in self._entries())
        return "\n".join([f"{self.name}: {self.width} x {self.height} px, {_crs_name(self.crs)}", *lines])

    def _entries(self) -> Iterator[tuple[str, str]]:
        bounds = ",".join(f"{degrees:.5f}" for degrees in self.bounds)
        yield "file", f"{self.path} ({self.driver}), overviews {', '.join(map(str, self.overviews)) or 'none'}"
        yield "bounds", f"{bounds} (west,south,east,north)"
        metres = float(f"{self.ground_resolution:.3g}")
        yield "resolution", f"{metres:g} m per pixel on the ground, native zoom {self.native_zoom}"
        yield "bands", ", ".join(self._bands())
        yield "no data", f"{self.nodata_share:.1%} of the pixels ({self._validity})"
        yield "stretch", _stretch(self.rendition)
        if self.colour_distance is not None:
            done = "matched" if self.rendition.curves else "unchanged"
            if self.rendition.curves and self.tries_match:
                done = "rendering tries how far to match them"
            yield "colours", f"{self.colour_distance:.0f} grey levels from the imagery of {self.model}: {done}"
        for note in self.notes:
            yield "note", note
        if self.refused:
            yield "render", f"refused: {self.refused}"
        elif self.plan:
            tiles, blocks = self.plan.tiles, self.plan.block_count
            yield (
                "render",
                f"{self.model} at zoom {self.plan.maxzoom}, overviews down to "
                f"{one_tile_zoom(self.plan.window, self.plan.maxzoom)}, at most "
                f"{tiles.width} x {tiles.height} tiles in {blocks} block{'s' * (blocks != 1)}",
            )

    def _bands(self) -> Iterator[str]:
        """Each band with its type, its role in the file, and the colours it is used as."""
        for index, (dtype, role) in enumerate(zip(self.dtypes, self.roles, strict=True), 1):
            used = [colour for colour, chosen in zip(COLOURS, self.indexes, strict=True) if chosen == index]
            as_colour = f" used as {' and '.join(used)}" if used and used != [role] else ""
            yield f"{index} {role} {dtype}{as_colour}"

    @property
    def _validity(self) -> str:
        said = [] if self.nodata is None else [f"nodata {_distinct(f'{value:g}' for value in self.nodata)}"]
        said += [] if self.alpha is None else [self.alpha if self.alpha.startswith("mask") else f"alpha {self.alpha}"]
        return " and ".join(said) or "the file declares none"


def describe(scene: Scene, card: ModelCard) -> SceneDescription:
    """Describe an open scene and its rendering with a model. Does not import torch.

    Raises:
        SceneError: the scene's pixels cannot be sampled.
    """
    data, bands = scene.dataset, scene.bands
    rendition, distance = choose_rendition(scene.sample(), card, PlanOptions(), scene.bits)
    plan, refused = _plan(scene, card)
    return SceneDescription(
        name=scene.name,
        path=scene.path,
        driver=data.driver,
        width=data.width,
        height=data.height,
        dtypes=tuple(data.dtypes),
        roles=tuple(role.name for role in data.colorinterp),
        indexes=bands.indexes,
        overviews=tuple(overview_factors(data)),
        crs=scene.crs.to_string(),
        bounds=grid.to_lnglat(scene.bounds),
        footprint=_footprint(scene),
        ground_resolution=scene.ground_resolution,
        native_zoom=grid.nearest_zoom(scene.ground_resolution, scene.latitude),
        nodata=bands.nodata,
        alpha=bands.alpha,
        nodata_share=1.0 - scene.valid_share,
        rendition=rendition,
        colour_distance=None if card.colours is None else distance,
        tries_match=card.can_try,
        model=card.name,
        plan=plan,
        refused=refused,
        notes=scene.notes,
    )


def _plan(scene: Scene, card: ModelCard) -> tuple[Plan | None, str | None]:
    try:
        return make_plan(scene, card), None
    except ResolutionError as error:
        return None, str(error)


def _footprint(scene: Scene) -> shapely.Geometry:
    """The outline to half a pixel, within web-mercator's range; the bounds if it is not a ring."""
    longitudes, latitudes = scene.outline
    ring = np.isfinite([longitudes, latitudes]).all() and abs(longitudes[-1] - longitudes[0]) < 1.0
    try:
        area = make_aoi(shapely.Polygon(scene.outline.T) if ring else shapely.box(*grid.to_lnglat(scene.bounds)))
    except AoiError:  # a self-intersecting outline near the edge of the CRS
        area = make_aoi(shapely.box(*grid.to_lnglat(scene.bounds)))
    simple = shapely.simplify(area.geometry, scene.ground_resolution / 2)
    return shapely.transform(simple, lambda xy: np.array([mercantile.lnglat(*point) for point in xy]).round(7))


def _crs_name(crs: str) -> str:
    """Code and name of a CRS."""
    found = re.search(r'"([^"]+)"', CRS.from_user_input(crs).to_wkt())
    name = found.group(1) if found else crs[:60]
    return f"{crs} ({name})" if len(crs) < 20 else name


def _stretch(rendition: ColourTransform) -> str:
    if rendition.stretch is None:
        return "none: 8-bit unchanged"
    return f"{_distinct(f'{low:g} to {high:g}' for low, high in rendition.stretch)} to black and white"


def _distinct(words: Iterable[str]) -> str:
    """Distinct words, joined: often the same for all bands."""
    return ", ".join(dict.fromkeys(words))
