"""The record of a finished output: a journal in its folder, or hidden beside its file."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from geo2map.errors import OutputError
from geo2map.files.atomic import hidden_sibling
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


def recorded_layers(path: Path) -> list[Path]:
    """Files of further layers beside a finished output, by its record; empty if that is unreadable."""
    with suppress(OutputError):
        if path.is_file() and (journal := load_record(path)) is not None:
            journal.close()
            return [layer_path(path, name, is_folder=False) for name in journal.recipe.storage_layers]
    return []
