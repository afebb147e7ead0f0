"""Early refusals of an output: its type, its location, and what already exists there."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from geo2map.errors import OutputError
from geo2map.files.atomic import hidden_sibling, output_errors
from geo2map.files.place import check_place, nearest_folder, require_writable, resolve_place
from geo2map.formats.containers import Container, find_container
from geo2map.ledger.finished_record import has_record, recorded_layers, require_own_layers
from geo2map.ledger.output import Sink
from geo2map.ledger.workspace import Workspace
from geo2map.plan.storage import Storage
from geo2map.tiles.inventory import FAILED_NAME, check_replaceable
from geo2map.tiles.layer import layer_path


@dataclass(frozen=True, kw_only=True)
class OutputOptions:
    """How to treat an existing output, complete or interrupted.

    Attributes:
        overwrite: replace it when the new one is complete; an interrupted run of another job is deleted at once.
        resume: continue an interrupted run of the same job; False deletes it.
        tmp: working folder for single-file outputs, e.g. on a larger disk; None is beside the output. An interrupted
            run resumes where it was started.
        sink: receives the tiles of a folder, which then holds documents only.
    """

    overwrite: bool = False
    resume: bool = True
    tmp: str | Path | None = None
    sink: Sink | None = None


def check_output(path: str | Path, options: OutputOptions, storage: Storage) -> Container:
    """Refuse an output before any expensive work. Writes nothing.

    An output with a record passes: `find_complete` decides whether it is complete.

    Raises:
        OutputError: an unsupported type or format, or an existing output that is neither to be replaced nor resumed.
    """
    container = find_container(path)
    container.check_storage(storage)
    final = check_place(path, names_around(path, container))
    check_tmp(path, container, options.tmp)
    with output_errors(Path(path)):
        is_begun = Workspace(final).exists
        if not is_begun and not options.overwrite and has_record(final, is_folder=container.is_folder):
            return container
        if not is_begun:
            check_final(Path(path), container, options, storage.layers)
    require_writable(path)
    return container


def names_around(path: str | Path, container: Container) -> list[str]:
    """Names of temporary and sidecar files that an output needs beside it and in its workspace."""
    final = resolve_place(path)
    names = [hidden_sibling(final, kind).name for kind in ("partial", "lock", "replaced", "parts")]
    if not container.is_folder:
        workspace = Workspace(final)
        names.append(workspace.beside(hidden_sibling(final, "journal").name).name)
        names.append(hidden_sibling(final.with_name(f"{final.stem}.{FAILED_NAME}"), "partial").name)
        if container.is_raster:
            names.append(hidden_sibling(workspace.beside(f"{final.name}.aux.xml"), "partial").name)
    return names


def occupied(path: str | Path, container: Container, layers: Sequence[str]) -> list[Path]:
    """Paths that an output writes or removes: its own, its layers', and those of an older output of the name."""
    final = resolve_place(path)
    beside = [layer_path(final, name, is_folder=container.is_folder) for name in layers]
    return [final, *dict.fromkeys([*beside, *recorded_layers(final)])]


def check_tmp(path: str | Path, container: Container, tmp: str | Path | None) -> None:
    """Validate the working folder.

    Raises:
        OutputError: it is unusable, or the output writes in place and has none.
    """
    if tmp is None:
        return
    if container.is_folder:
        raise OutputError(
            f"tmp {tmp}: {path} is a folder, whose tiles are written in place; leave it out", option="tmp", usage=True
        )
    folder, final = resolve_place(tmp), resolve_place(path)
    if final in (folder, *folder.parents):
        raise OutputError(f"tmp {tmp}: inside the output {path}; choose another folder", option="tmp")
    above = nearest_folder(folder)
    if not above.is_dir() or not os.access(above, os.W_OK):
        raise OutputError(f"tmp {above}: not a writable folder; choose another", option="tmp")


def check_final(path: Path, container: Container, options: OutputOptions, layers: Sequence[str] = ()) -> None:
    """Refuse a path that is taken, by the output itself or by the file of a further layer.

    Raises:
        OutputError: names what exists.
    """
    final = resolve_place(path)
    if not container.is_folder:
        require_own_layers(final, layers, may_replace=options.overwrite)
    if not os.path.lexists(final):
        return
    if container.is_folder != final.is_dir():
        found = "a folder" if final.is_dir() else "a file"
        raise OutputError(f"{path}: {found} of this name exists, not {container.name}; choose another name")
    if container.is_folder and not any(final.iterdir()):
        return
    if not options.overwrite:
        recorded = has_record(final, is_folder=container.is_folder)
        raise OutputError.exists(path, "" if recorded else "without a record of how it was made")
    if container.is_folder:
        check_replaceable(final)
