"""Whether a finished output matches a job and is intact. Writes nothing.

An output of the same job is left untouched; one of another job is refused, with the differences.
"""

from __future__ import annotations

from contextlib import closing, suppress
from pathlib import Path

from geo2map.errors import OutputError, TileSetError
from geo2map.files.place import resolve_place
from geo2map.formats.containers import find_container
from geo2map.ledger.checks import OutputOptions
from geo2map.ledger.content import content_digest, first_damaged, size_on_disk
from geo2map.ledger.finished_record import has_record, journal_path, load_record
from geo2map.ledger.journal import Journal
from geo2map.ledger.origin import Origin
from geo2map.ledger.workspace import Workspace
from geo2map.pipeline.report import Report
from geo2map.plan.job import Job, version_changes
from geo2map.tiles.doubt import Doubt
from geo2map.tiles.folder import XyzFolder
from geo2map.tiles.layer import MAP, layer_path
from geo2map.tiles.tilejson import FILE_NAME


def find_complete(path: str | Path, job: Job, options: OutputOptions | None = None) -> Report | None:
    """Find a finished output of a job.

    Args:
        job: its device may be `geo2map.plan.job.ANY_DEVICE`.
        options: with `overwrite`, the result is None.

    Returns:
        The report of a run with nothing to do; None if there is no finished output, or an interrupted run to resume.

    Raises:
        OutputError: another job wrote the output (states the differences), it has changed since, or it has no record.
    """
    options, final = options or OutputOptions(), resolve_place(path)
    if options.overwrite or Workspace(final).exists or (journal := _open_record(path, final)) is None:
        return None
    with closing(journal):
        if not isinstance(journal.recipe, Job):
            raise OutputError.exists(path, "it was converted from other tiles")
        is_incomplete = journal.is_incomplete
        if refusals := journal.job.tile_refusals(job) if is_incomplete else journal.job.refusals(job):
            raise OutputError.exists(path, f"rendered by another job: {'; '.join(refusals[:3])}")
        if is_incomplete:
            return None
        _require_whole(Path(path), final, journal)
        changes = version_changes(journal.job.versions, job.versions)
        doubt = Doubt.of(journal.doubt.counts())
        return Report.of_complete(journal.job, len(journal.blocks()), changes, doubt)


def recorded_plan(path: str | Path) -> str | None:
    """Fingerprint of the plan of an interrupted or finished output, None where there is none that can be read.

    Decisions that take long are not taken anew for an output that records them.
    """
    final = resolve_place(path)
    for journal in (Workspace(final).journal, journal_path(final)):
        with suppress(OutputError, OSError):
            if journal.is_file():
                with closing(Journal(journal, read_only=True)) as opened:
                    return opened.job.plan.fingerprint if isinstance(opened.recipe, Job) else None
    return None


def find_converted(path: str | Path, origin: Origin) -> tuple[str, ...] | None:
    """Find a finished output of a conversion.

    Returns:
        Libraries whose versions have changed since, in words; None if there is no finished output with a record.

    Raises:
        OutputError: it was converted from other tiles, with other options, or rendered; or it has changed since.
    """
    final = resolve_place(path)
    if (journal := _open_record(path, final)) is None:
        return None
    with closing(journal):
        if not isinstance(journal.recipe, Origin):
            raise OutputError.exists(path, "rendered, not converted")
        if differences := journal.recipe.differences(origin):
            raise OutputError.exists(path, "; ".join(differences[:3]))
        for name in (MAP, *journal.recipe.storage_layers):
            _require_sealed(Path(path), final, journal, name, "")
        return version_changes(journal.recipe.versions, origin.versions)


def _open_record(path: str | Path, final: Path) -> Journal | None:
    if not has_record(final, is_folder=find_container(path).is_folder):  # before Path() drops a trailing slash
        return None
    try:
        return load_record(final)
    except OutputError as error:
        raise OutputError.exists(path, f"unreadable record: {error}") from error


def _require_whole(path: Path, final: Path, journal: Journal) -> None:
    repair = f"geo2map check {path} lists the differences and can repair them"
    if final.is_file():
        for name in journal.job.layers:
            _require_sealed(path, final, journal, name, "" if journal.job.storage.has_own_grid else f"; {repair}")
        return
    if not (final / FILE_NAME).is_file():
        raise OutputError.exists(path, f"damaged: its {FILE_NAME} is missing; {repair}")
    for name in journal.job.layers:
        folder = layer_path(final, name, is_folder=True)
        if not folder.is_dir():
            raise OutputError.exists(path, f"damaged: its layer {name} is missing; {repair}")
        if (damaged := first_damaged(XyzFolder(folder), journal.layer(name))) is not None:
            (tile, fault), where = damaged, "" if name == MAP else f"{name}/"
            raise OutputError.exists(path, f"damaged: tile {where}{tile.z}/{tile.x}/{tile.y} is {fault}; {repair}")


def _require_sealed(path: Path, final: Path, journal: Journal, layer: str, advice: str) -> None:
    place = layer_path(final, layer, is_folder=final.is_dir())
    if (seal := journal.seal(layer)) is None:
        return
    try:
        size = size_on_disk(place)
    except (OSError, TileSetError) as error:
        raise OutputError.exists(path, f"damaged: its layer {layer} is missing{advice}") from error
    if size != seal.size:
        what = "tiles" if final.is_dir() else "bytes"
        raise OutputError.exists(path, f"damaged: {size} {what} instead of {seal.size}{advice}")
    if seal.content != content_digest(place):
        raise OutputError.exists(path, f"damaged: its content differs from what was written{advice}")
