"""Publishing an output: its files are staged, then renamed. Every step can be repeated after a kill."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from geo2map.errors import OutputError
from geo2map.files.atomic import (
    hidden_sibling,
    output_errors,
    remove_stale,
    replace_folder,
    restore_replaced,
    sync_folder,
    write_whole,
)
from geo2map.formats.containers import Container
from geo2map.formats.documents.companions import STYLE, companion_files
from geo2map.formats.vectors.read import FeatureFile
from geo2map.ledger.content import content_digest, size_on_disk
from geo2map.ledger.finished_record import recorded_layers, require_own_layers
from geo2map.ledger.journal import Journal
from geo2map.ledger.state import Seal, Stage
from geo2map.ledger.workspace import Workspace
from geo2map.plan.storage import Storage
from geo2map.protocols import Progress, StoredTiles
from geo2map.tiles.folder import XyzFolder
from geo2map.tiles.inventory import JOURNAL_NAME, check_replaceable, first_unexpected
from geo2map.tiles.layer import MAP, layer_path
from geo2map.tiles.tilejson import FILE_NAME, TileSet


class Publication:
    """Stages and publishes one output.

    Attributes:
        workspace: holds the staged files.
        container: type of the output.
        journal: records the progress.
    """

    def __init__(self, workspace: Workspace, container: Container, journal: Journal) -> None:
        self.workspace, self.container, self.journal = workspace, container, journal

    def draft(self, name: str = MAP) -> Path:
        """Path of a layer under construction."""
        if self.container.is_folder:
            return layer_path(self.workspace.result, name, is_folder=True)
        return layer_path(self.workspace.draft, name, is_folder=False)

    def layer(self, name: str = MAP) -> Path:
        """Path of a layer of the finished output."""
        return layer_path(self.workspace.final, name, is_folder=self.container.is_folder)

    def write_layer(
        self, name: str, store: StoredTiles, tileset: TileSet, storage: Storage, progress: Progress | None = None
    ) -> Path:
        """Write a layer from its tiles.

        Returns:
            Its staged path.

        Raises:
            OutputError: it cannot be written; nothing is left of it.
            TileSetError: a stored tile is damaged.
        """
        draft = self.draft(name)
        if self.container.is_folder:
            with output_errors(self.workspace.final):
                draft.mkdir(exist_ok=True)
            self.container.writer(storage)(store, tileset, draft, progress)
            return draft
        try:
            self.container.writer(storage)(store, tileset, draft, progress)
            made = self.workspace.result if name == MAP else self.workspace.beside(self.layer(name).name)
            self.workspace.stage(draft, made)
            return made
        except BaseException:
            draft.unlink(missing_ok=True)
            raise

    def write_features(self, features: FeatureFile, storage: Storage, progress: Progress | None = None) -> Path:
        """Write the map as a vector file.

        Returns:
            Its staged path.

        Raises:
            OutputError: it cannot be written; nothing is left of it.
            TileSetError: the CRS does not reach the map.
        """
        assert self.container.export is not None, "only for vector files"
        draft = self.draft()
        try:
            draft.unlink(missing_ok=True)
            self.container.export(features, draft, storage, progress)
            self.workspace.stage(draft, self.workspace.result)
            return self.workspace.result
        except BaseException:
            draft.unlink(missing_ok=True)
            raise

    def stage_companions(self, name: str, tileset: TileSet, crs: str | None = None) -> None:
        """Write the files that accompany a raster layer."""
        if self.container.is_raster:
            self._stage(companion_files(self.layer(name), tileset, crs))

    def stage_record(self, layers: Mapping[str, Path], parts: Sequence[Path] = (), *, sealed: bool = True) -> None:
        """Write the record that the finished output keeps.

        Args:
            layers: staged paths, by layer.
            parts: see `Journal.write_final`.
            sealed: whether to record size and content of the layers besides their tiles.
        """
        final = self.workspace.final
        seals = (
            {name: Seal(size_on_disk(path), content_digest(path)) for name, path in layers.items()} if sealed else {}
        )
        where = self.workspace.result / JOURNAL_NAME
        if not self.container.is_folder:
            where = self.workspace.beside(hidden_sibling(final, "journal").name)
        self.journal.write_final(where, parts, seals=seals)

    def commit(self) -> None:
        """Mark the output as ready, and publish it."""
        if not self.container.is_folder:
            self.journal.stale_names = self._stale_names()
        self.journal.stage = Stage.PUBLISHING
        self.publish()

    def publish(self) -> None:
        """Give the output its name; if killed, the next command repeats it.

        Raises:
            OutputError: an output of the same name has appeared meanwhile, or it cannot be renamed.
        """
        if not self.container.is_folder:
            self._publish_files()
        elif self.journal.is_overlay:
            self._publish_changes()
        else:
            self._publish_folder()

    def _stage(self, files: Mapping[str, bytes]) -> None:
        for name, data in files.items():
            write_whole(self.workspace.beside(name), data)

    def _publish_files(self) -> None:
        """Rename the file, then those staged beside it, and remove the companions of an older file of the name."""
        result, final, staged = self.workspace.result, self.workspace.final, self.workspace.staged()
        with output_errors(final):
            if result.exists():
                self._require_free()
                for path in (result, *staged.values()):
                    with path.open("rb+") as file:
                        os.fsync(file.fileno())
                result.replace(final)
            for name in self.journal.stale_names:
                if name not in staged:
                    (final.parent / name).unlink(missing_ok=True)
            for name, path in staged.items():
                if name.endswith(STYLE) and (final.parent / name).exists():
                    path.unlink()
                else:
                    path.replace(final.parent / name)
            sync_folder(final.parent)

    def _stale_names(self) -> list[str]:
        """Names of the companions of an older output: files of other programs, its record, its further layers."""
        final = self.workspace.final
        names = [final.name + suffix for suffix in (".aux.xml", ".ovr")]
        names += [path.name for path in recorded_layers(final)]
        return sorted({*names, hidden_sibling(final, "journal").name} - self.workspace.staged().keys())

    def _require_free(self) -> None:
        """
        Raises:
            OutputError: another output turned up under the name, or a file under that of a layer.
        """
        final = self.workspace.final
        if final.exists() and not self.journal.may_replace:
            raise OutputError(f"{final}: has appeared meanwhile; move it away and run again", option="overwrite")
        if not self.container.is_folder:
            require_own_layers(final, self.journal.recipe.storage_layers, may_replace=self.journal.may_replace)

    def _publish_folder(self) -> None:
        """Rename a folder of tiles; an older one is moved aside first and removed afterwards."""
        result, final = self.workspace.result, self.workspace.final
        with output_errors(final):
            if os.path.lexists(final) and result.exists() and any(final.iterdir()):
                self._require_free()
                check_replaceable(final)
            if result.exists():
                restore_replaced(final)
                replace_folder(result, final, first_unexpected)
            elif os.path.lexists(final):  # killed between the last rename and the removal of the old folder
                remove_stale(hidden_sibling(final, "replaced"), first_unexpected)
            sync_folder(final.parent)

    def _publish_changes(self) -> None:
        """Move changed tiles into the finished folder, delete removed ones, and replace its documents last.

        In between, the folder mixes old and new tiles; a killed run continues when it is started again.
        """
        result, final = self.workspace.result, self.workspace.final
        with output_errors(final):
            for name in reversed(list(self.journal.job.layers)):
                made, target = self.draft(name), self.layer(name)
                target.mkdir(exist_ok=True)
                if made.is_dir():
                    _move_tiles(XyzFolder(made), target)
                finished = XyzFolder(target)
                for tile in self.journal.layer(name).removed():
                    if (path := finished.tile_path(tile)) is not None:
                        path.unlink()
                        _remove_empty(path.parent, target)
                if name != MAP:
                    _move_documents(made, target)
            _move_documents(result, final)
            sync_folder(final)


def _move_documents(made: Path, target: Path) -> None:
    documents = [path for path in sorted(made.iterdir()) if path.is_file()] if made.is_dir() else []
    for path in sorted(documents, key=lambda path: path.name in (FILE_NAME, JOURNAL_NAME)):
        path.replace(target / path.name)


def _move_tiles(made: XyzFolder, final: Path) -> None:
    for zoom in made.zooms:
        for tile in made.tiles(zoom):
            source = made.tile_path(tile)
            assert source is not None
            target = final / source.relative_to(made.path)
            target.parent.mkdir(parents=True, exist_ok=True)
            source.replace(target)


def _remove_empty(folder: Path, top: Path) -> None:
    while folder != top and not any(folder.iterdir()):
        folder.rmdir()
        folder = folder.parent
