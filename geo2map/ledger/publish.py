"""The last step: what was made gets its name. Every step can be repeated after a kill in the middle of it."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path

from geo2map.errors import OutputError
from geo2map.files.atomic import hidden_sibling, output_errors, replace_folder, sync_folder, write_whole
from geo2map.formats.documents.companions import STYLE
from geo2map.ledger.journal import Journal
from geo2map.ledger.workspace import Workspace
from geo2map.tiles.folder import XyzFolder
from geo2map.tiles.inventory import JOURNAL_NAME, check_replaceable, first_unexpected
from geo2map.tiles.tilejson import FILE_NAME


def publish_file(workspace: Workspace, *, overwrite: bool) -> None:
    """Renames a file, then those that wait in the workspace to lie beside it. What others noted beside an older one of
    the name is no longer true and goes first.

    Raises:
        OutputError: a file of the name turned up meanwhile, or it cannot be renamed.
    """
    result, final, staged = workspace.result, workspace.final, workspace.staged()
    with output_errors(final):
        if result.exists():
            if final.exists() and not overwrite:
                raise OutputError(f"{final} exists now: move it away and run again", option="overwrite")
            with result.open("rb+") as file:
                os.fsync(file.fileno())
            noted = [final.name + suffix for suffix in (".aux.xml", ".ovr")]
            for name in {*noted, hidden_sibling(final, "journal").name} - staged.keys():
                (final.parent / name).unlink(missing_ok=True)
            result.replace(final)
        for name, path in staged.items():
            if name.endswith(STYLE) and (final.parent / name).exists():
                path.unlink()
            else:
                path.replace(final.parent / name)
        sync_folder(final.parent)


def stage(workspace: Workspace, files: Mapping[str, bytes]) -> None:
    """Writes files into the workspace that are to lie beside its output, by their names there.

    Raises:
        OutputError: they cannot be written.
    """
    for name, data in files.items():
        write_whole(workspace.beside(name), data)


def mark_publishing(workspace: Workspace, made_of: str, *, overwrite: bool) -> None:
    """Says that the result of a command without a journal is complete and is given its name from now on.

    Args:
        made_of: what tells this result from any other.

    Raises:
        OutputError: it cannot be written.
    """
    facts = {"made_of": made_of, "overwrite": overwrite}
    write_whole(workspace.marker, json.dumps(facts).encode())


def publish_marked(workspace: Workspace, *, is_folder: bool) -> str | None:
    """Gives the result its name and removes the workspace; nothing where there is no mark. Can be repeated.

    Returns:
        What it is made of.

    Raises:
        OutputError: as `publish_file` and `publish_folder`.
    """
    with output_errors(workspace.final):
        if not workspace.marker.is_file():
            return None
        facts = json.loads(workspace.marker.read_bytes())
    if is_folder:
        publish_folder(workspace.result, workspace.final, overwrite=facts["overwrite"])
    else:
        publish_file(workspace, overwrite=facts["overwrite"])
    workspace.discard()
    return str(facts["made_of"])


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
        if result.is_dir():
            _move_tiles(XyzFolder(result), final)
        for tile in journal.removed():
            if (path := finished.tile_path(tile)) is not None:
                path.unlink()
                _remove_empty(path.parent, final)
        documents = [path for path in sorted(result.iterdir()) if path.is_file()] if result.is_dir() else []
        for path in sorted(documents, key=lambda path: path.name in (FILE_NAME, JOURNAL_NAME)):
            path.replace(final / path.name)
        sync_folder(final)


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
