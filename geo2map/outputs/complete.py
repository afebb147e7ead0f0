"""A finished output that is asked for again: whether it is what the same job would make, and whether it is still whole.

Nothing is written. An output of the same job is left as it is; one of another job is refused, saying what is different.
"""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from geo2map.errors import OutputError
from geo2map.files.place import resolve_place
from geo2map.outputs.containers import find_container
from geo2map.outputs.content import content_digest, first_damaged
from geo2map.outputs.folder import has_record, journal_path, load_journal
from geo2map.outputs.opening import OutputOptions
from geo2map.outputs.origin import Origin
from geo2map.outputs.workspace import Workspace
from geo2map.pipeline.journal import Journal
from geo2map.pipeline.report import Report
from geo2map.plan.job import Job, version_changes
from geo2map.tiles.folder import XyzFolder
from geo2map.tiles.inventory import SOURCE_FOLDER
from geo2map.tiles.tilejson import FILE_NAME


def find_complete(path: str | Path, job: Job, options: OutputOptions | None = None) -> Report | None:
    """Looks for a finished output of a job.

    Args:
        job: what is asked for; its device may be `geo2map.plan.job.ANY_DEVICE`.
        options: to replace whatever is there is to look for nothing.

    Returns:
        The report of a run that has nothing to do; None where there is no finished output, or where an earlier run has
        left something to go on with.

    Raises:
        OutputError: another job made the output (says what is different), it is no longer what that job made, or
            nothing says what made it.
    """
    options, final, container = options or OutputOptions(), resolve_place(path), find_container(path)
    if options.overwrite or Workspace(final).exists or not has_record(final, is_folder=container.is_folder):
        return None
    try:
        journal = load_journal(final)
    except OutputError as error:
        raise OutputError.exists(path, f"its record cannot be read: {error}") from error
    if journal is None:
        raise OutputError.exists(path, "it was converted from other tiles")
    with closing(journal):
        return _compare(Path(path), final, journal, job)


def find_converted(path: str | Path, asked: Origin) -> tuple[str, ...] | None:
    """Looks for a finished output that was converted from other tiles.

    Returns:
        Libraries that have other versions now, in words; None where there is no finished output with a record.

    Raises:
        OutputError: it was made of other tiles, in another way or by a run, or is no longer what was made.
    """
    final, container = resolve_place(path), find_container(path)
    if not has_record(final, is_folder=container.is_folder):
        return None
    if (before := Origin.load(journal_path(final))) is None:
        raise OutputError.exists(path, "rendered, not converted")
    if differences := before.differences(asked):
        raise OutputError.exists(path, "; ".join(differences[:3]))
    if before.size != (size := bytes_on_disk(final)):
        what = "tiles" if container.is_folder else "bytes"
        raise OutputError.exists(path, f"it had {before.size} {what} when it was made and has {size}")
    if before.content and before.content != content_digest(final):
        raise OutputError.exists(path, "damaged: its content is not what was written")
    return version_changes(before.versions, asked.versions)


def bytes_on_disk(final: Path) -> int:
    """Bytes of a file, tiles of a folder."""
    if final.is_file():
        return final.stat().st_size
    folder = XyzFolder(final)
    return sum(1 for zoom in folder.zooms for _ in folder.tiles(zoom))


def _compare(path: Path, final: Path, journal: Journal, job: Job) -> Report | None:
    if refusals := journal.job.refusals(job):
        raise OutputError.exists(path, f"made by another job: {'; '.join(refusals[:3])}")
    records = journal.blocks().values()
    if any(record.open is not None for record in records):
        return None
    _require_whole(path, final, journal)
    return Report.of_complete(journal.job, len(records), version_changes(journal.job.versions, job.versions))


def _require_whole(path: Path, final: Path, journal: Journal) -> None:
    """
    Raises:
        OutputError: a tile or a file is not what was written.
    """
    if final.is_file():
        _require_whole_file(path, final, journal)
        return
    if not (final / FILE_NAME).is_file():
        raise OutputError.exists(path, f"damaged: its {FILE_NAME} is missing; {_mending(path)}")
    damaged = first_damaged(XyzFolder(final), journal)
    if damaged is None and journal.job.storage.with_source:
        below = load_journal(final / SOURCE_FOLDER)
        if below is None:
            raise OutputError(f"{path} lacks the imagery's own tiles: render the map anew", option="overwrite")
        with closing(below):
            damaged = first_damaged(XyzFolder(final / SOURCE_FOLDER), below)
    if damaged is not None:
        (tile, fault) = damaged
        raise OutputError.exists(path, f"damaged: tile {tile.z}/{tile.x}/{tile.y} is {fault}; {_mending(path)}")


def _require_whole_file(path: Path, final: Path, journal: Journal) -> None:
    size, content, found = journal.get("size"), journal.get("content"), final.stat().st_size
    how = "" if journal.job.storage.wants_grid else f"; {_mending(path)}"
    if size is not None and int(size) != found:
        raise OutputError.exists(path, f"it had {size} bytes when it was made and has {found}{how}")
    if content is not None and content != content_digest(final):  # earlier versions kept the size alone
        raise OutputError.exists(path, f"damaged: its content is not what was written{how}")


def _mending(path: Path) -> str:
    return f"geo2map check {path} lists the differences and can repair them"
