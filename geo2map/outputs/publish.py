"""The last step: what was made gets its name. Every step can be repeated after a kill in the middle of it."""

from __future__ import annotations

import os
from pathlib import Path

from geo2map.errors import OutputError
from geo2map.files.atomic import output_errors, replace_folder, sync_folder
from geo2map.pipeline.journal import Journal
from geo2map.tiles.folder import XyzFolder
from geo2map.tiles.inventory import JOURNAL_NAME, check_replaceable, first_unexpected
from geo2map.tiles.tilejson import FILE_NAME


def publish_file(result: Path, final: Path, *, overwrite: bool) -> None:
    """Renames a file; what other programs noted beside an older one of the name is no longer true and goes.

    Raises:
        OutputError: a file of the name turned up meanwhile, or it cannot be renamed.
    """
    with output_errors(final):
        if result.exists():
            if final.exists() and not overwrite:
                raise OutputError(f"{final} exists now: move it away and run again", option="overwrite")
            with result.open("rb+") as file:
                os.fsync(file.fileno())
            result.replace(final)
            sync_folder(final.parent)
        for suffix in (".aux.xml", ".ovr"):
            final.with_name(final.name + suffix).unlink(missing_ok=True)


def publish_folder(result: Path, final: Path, *, overwrite: bool) -> None:
    """Renames a folder of tiles; an older one is moved aside first and removed afterwards.

    Raises:
        OutputError: a folder of the name turned up meanwhile or holds what is no part of a tile set, or it cannot be
            renamed.
    """
    with output_errors(final):
        if os.path.lexists(final) and result.exists() and any(final.iterdir()):
            if not overwrite:
                raise OutputError(f"{final} exists now: move it away and run again", option="overwrite")
            check_replaceable(final)
        if result.exists():
            replace_folder(result, final, first_unexpected)
        sync_folder(final.parent)


def publish_changes(result: Path, final: Path, journal: Journal) -> None:
    """Moves changed tiles into a finished set and removes those that are to go; its documents come last.

    Between the first and the last of these moves the set is neither the old nor the new one; a run that was killed
    there goes on when it is started again.
    """
    with output_errors(final):
        finished = XyzFolder(final)
        for zoom in XyzFolder(result).zooms if result.is_dir() else ():
            for tile in XyzFolder(result).tiles(zoom):
                source = XyzFolder(result).tile_path(tile)
                assert source is not None
                target = final / source.relative_to(result)
                target.parent.mkdir(parents=True, exist_ok=True)
                source.replace(target)
        for tile in journal.removed():
            if (path := finished.tile_path(tile)) is not None:
                path.unlink()
                _remove_empty(path.parent, final)
        documents = [path for path in sorted(result.iterdir()) if path.is_file()] if result.is_dir() else []
        for path in sorted(documents, key=lambda path: path.name in (FILE_NAME, JOURNAL_NAME)):
            path.replace(final / path.name)
        sync_folder(final)


def _remove_empty(folder: Path, top: Path) -> None:
    while folder != top and not any(folder.iterdir()):
        folder.rmdir()
        folder = folder.parent
