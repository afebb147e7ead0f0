"""The record of a finished output: a journal in its folder, or hidden beside its file."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from geo2map.errors import OutputError, TileSetError
from geo2map.files.atomic import hidden_sibling
from geo2map.formats.opened import open_tiles
from geo2map.ledger.journal import Journal
from geo2map.ledger.origin import Origin
from geo2map.plan.job import Job
from geo2map.tiles.inventory import JOURNAL_NAME
from geo2map.tiles.layer import layer_path


def journal_path(path: Path) -> Path:
    """Path of the journal of a finished output."""
    return path / JOURNAL_NAME if path.is_dir() else hidden_sibling(path, "journal")


def has_record(final: Path, *, is_folder: bool) -> bool:
    """Whether an output of this type exists together with its record."""
    return (final.is_dir() if is_folder else final.is_file()) and journal_path(final).is_file()


def load_record(path: Path) -> Journal | None:
    """Open the journal of a finished output read-only; None if it has none.

    Raises:
        OutputError: it is damaged, or written by another version of geo2map.
    """
    path = journal_path(path)
    return Journal(path, read_only=True) if path.is_file() else None


def load_journal(path: Path) -> Journal | None:
    """Open the journal of a rendered output read-only; None for a conversion, or without a journal.

    Raises:
        OutputError: it is damaged, or written by another version of geo2map.
    """
    if (journal := load_record(path)) is None or isinstance(journal.recipe, Job):
        return journal
    journal.close()
    return None


def load_origin(path: Path) -> Origin | None:
    """The origin of a converted output; None for a rendered one, or without a record.

    Raises:
        OutputError: its record is damaged, or written by another version of geo2map.
    """
    if (journal := load_record(path)) is None:
        return None
    journal.close()
    return journal.recipe if isinstance(journal.recipe, Origin) else None


def require_own_layers(final: Path, layers: Sequence[str], *, may_replace: bool) -> None:
    """Refuse the file name of a layer that another file has taken.

    Args:
        may_replace: whether layers of an older output of the name may go.

    Raises:
        OutputError: names the file.
    """
    replaced = recorded_layers(final) if may_replace else []
    for beside in (layer_path(final, name, is_folder=False) for name in layers):
        if os.path.lexists(beside) and (beside not in replaced or journal_path(beside).exists()):
            raise OutputError(f"{beside}: exists, and {final.name} does not list it as a layer; move it away")


def recorded_layers(path: Path) -> list[Path]:
    """Files of further layers beside a finished output, by its record; empty if that is unreadable."""
    if not path.is_file():
        return []
    with suppress(OutputError):
        if (journal := load_record(path)) is not None:
            journal.close()
            return [layer_path(path, name, is_folder=False) for name in journal.recipe.storage_layers]
    with suppress(TileSetError), open_tiles(path) as (_, tileset):  # one without a record states its layers itself
        return [layer_path(path, name, is_folder=False) for name in tileset.layers]
    return []
