"""The result of a conversion."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from geo2map.formats.opened import open_tiles
from geo2map.formats.vectors.read import is_vector_file
from geo2map.grid import lnglat_bounds
from geo2map.pipeline.report import complete_note
from geo2map.tiles.layer import MAP
from geo2map.tiles.tilejson import TileSet
from geo2map.types import LngLatBounds


@dataclass(frozen=True)
class Converted:
    """Result of a conversion.

    Attributes:
        path: of the output, as given.
        bounds: west, south, east, north of the map in degrees.
        minzoom, maxzoom: zooms of the output; of features, that of the map that they were read from.
        layers: tile sets in the output, the map first; of a vector file, the map.
        complete: whether the same conversion had been completed before, and the output left untouched.
        since: library versions changed since then, in words.
        notes: what a user should know of it, sentences.
    """

    path: str
    bounds: LngLatBounds
    minzoom: int
    maxzoom: int
    layers: tuple[str, ...] = (MAP,)
    complete: bool = False
    since: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @classmethod
    def of(cls, path: str | Path, source: TileSet, *, complete: bool = False, since: tuple[str, ...] = ()) -> Converted:
        """The result of a finished output.

        Args:
            source: describes the map that was converted.

        Raises:
            TileSetError: the output is gone.
        """
        if is_vector_file(path):
            made, lowest = source, source.maxzoom
        else:
            with open_tiles(path) as (_, made):
                lowest = made.minzoom
        box, layers = lnglat_bounds(made.window, made.maxzoom), (MAP, *made.layers)
        return cls(str(path), box, lowest, made.maxzoom, layers, complete, since)

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    def __str__(self) -> str:
        said = f"{self.path}: {complete_note(self.since)}" if self.complete else self.path
        return "\n".join([*self.notes, said])
