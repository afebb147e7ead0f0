"""Conversion of features: of a finished map, or of a vector file, into vector files, vector tiles or pictures."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from geo2map.files.atomic import output_errors, write_whole
from geo2map.formats.containers import Container
from geo2map.formats.documents.sidecars import stored_sidecars
from geo2map.formats.subset import Subset, rescale
from geo2map.formats.vectors.read import FeatureFile
from geo2map.ledger.checks import OutputOptions, check_final
from geo2map.ledger.conversion import Conversion
from geo2map.ledger.derivation import DrawnArea, fill_tiles
from geo2map.ledger.publication import Publication
from geo2map.plan.storage import Storage
from geo2map.protocols import Progress
from geo2map.tiles.codec import SUFFIXES
from geo2map.tiles.layer import MAP
from geo2map.tiles.store import FolderStore
from geo2map.tiles.tilejson import TileSet

Features = Callable[[Path, Progress | None], tuple[FeatureFile, DrawnArea]]
"""Gives features and where their map is, from a working folder."""


class FeatureConversion(Conversion):
    """One output converted from features."""

    def __init__(
        self,
        out: Path,
        container: Container,
        storage: Storage,
        options: OutputOptions,
        *,
        features: Features,
        zoom: int | None = None,
    ) -> None:
        """
        Args:
            storage: how tiles are made and stored.
            features: gives them.
            zoom: of pictures; None is the map's.
        """
        super().__init__(out, container, storage, options)
        self._features, self._zoom = features, zoom

    def _make(
        self, publication: Publication, layers: Mapping[str, Subset], source: Path, progress: Progress | None
    ) -> None:
        assert not layers, "everything comes from features"
        features, area = self._features(self.workspace.spool, progress)
        check_final(self.out, self.container, self.options)
        if self.container.export is not None:
            made = publication.write_features(features, self.storage, progress)
        else:
            made = self._make_tiles(publication, features, area, source, progress)
        if self.container.is_folder or not self.storage.bare:
            publication.stage_record({MAP: made})
        publication.commit()

    def _make_tiles(
        self,
        publication: Publication,
        features: FeatureFile,
        area: DrawnArea,
        source: Path,
        progress: Progress | None,
    ) -> Path:
        tileset = tileset_like(features.tileset, self.storage, self._zoom)
        folder = self.workspace.spool / f"result.{MAP}"
        if self.container.is_folder:
            folder = publication.draft()
        with output_errors(self.out):
            folder.mkdir()
        store = FolderStore(folder, SUFFIXES[tileset.format], tileset.scheme if self.container.is_folder else "xyz")
        fill_tiles(store, features, area, tileset, self.storage, progress=progress)
        made = publication.write_layer(MAP, store, tileset, self.storage, progress)
        publication.stage_companions(MAP, tileset)
        if self.container.is_folder and not self.storage.bare:
            for name, data in stored_sidecars(tileset, source, {}).items():
                write_whole(made / name, data)
        return made


def tileset_like(tileset: TileSet, storage: Storage, zoom: int | None = None) -> TileSet:
    """The description of tiles made from the features of a map.

    Args:
        tileset: describes the map.
        storage: how they are stored.
        zoom: the largest; None is the map's.
    """
    largest = tileset.maxzoom if zoom is None else zoom
    window = rescale(tileset.window, tileset.maxzoom, largest)
    lowest = storage.lowest_zoom(window, largest)
    dropped = ("classes", "layers", *(("style",) if storage.redraw else ()))
    extra = {name: fact for name, fact in tileset.extra.items() if name not in dropped}
    if (style := storage.feature_style) is not None:
        extra["style"] = style.to_dict()
    return replace(
        tileset,
        format=storage.codec.format,
        minzoom=min(lowest, largest),
        maxzoom=largest,
        window=window,
        extra=extra,
        scheme=storage.scheme,
    )
