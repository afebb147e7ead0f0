"""What is refused of an output before any work: its kind, its place, what lies there already."""

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
    """What to do with an output that is there, whole or interrupted.

    Attributes:
        overwrite: replace it, at the end; an interrupted run of another job is thrown away at once.
        resume: go on with an interrupted run of the same job; False throws it away.
        tmp: a folder to make an output in that is one file, e.g. on a larger disk; None is beside it. An interrupted
            run is taken up where it was begun.
        sink: where the tiles of a folder go instead; the folder has its documents only.
    """

    overwrite: bool = False
    resume: bool = True
    tmp: str | Path | None = None
    sink: Sink | None = None


def check_output(path: str | Path, options: OutputOptions, storage: Storage) -> Container:
    """Refuses at once what would be refused later anyway, before anything that takes time. Writes nothing.

    An output that says how it was made is passed: whether it is complete is for `find_complete` to say.

    Raises:
        OutputError: not a kind of output, a format that it has not, or an output that is there already and that nothing
            says to replace or continue.
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
    """The names that are needed beside an output, and in its hidden folder for what is to lie beside it."""
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
    """What an output takes or removes: its own place, its layers, and those of an older output of the name."""
    final = resolve_place(path)
    beside = [layer_path(final, name, is_folder=container.is_folder) for name in layers]
    return [final, *dict.fromkeys([*beside, *recorded_layers(final)])]


def check_tmp(path: str | Path, container: Container, tmp: str | Path | None) -> None:
    """Refuses a folder to make an output in that cannot be one, or for an output that is made in its place.

    Raises:
        OutputError: says so.
    """
    if tmp is None:
        return
    if container.is_folder:
        raise OutputError(
            f"the tiles of {path} are written in their place: leave it out ({tmp})", option="tmp", usage=True
        )
    folder, final = resolve_place(tmp), resolve_place(path)
    if final in (folder, *folder.parents):
        raise OutputError(f"{path} cannot be made in itself ({tmp}): choose another folder", option="tmp")
    above = nearest_folder(folder)
    if not above.is_dir() or not os.access(above, os.W_OK):
        raise OutputError(f"{above} is not a folder that you may write to: choose another", option="tmp")


def check_final(path: Path, container: Container, options: OutputOptions, layers: Sequence[str] = ()) -> None:
    """Refuses a place that is taken, by the output itself or by a file of a further layer.

    Raises:
        OutputError: says by what.
    """
    final = resolve_place(path)
    if not container.is_folder:
        require_own_layers(final, layers, may_replace=options.overwrite)
    if not os.path.lexists(final):
        return
    if container.is_folder != final.is_dir():
        found = "a folder" if final.is_dir() else "a file"
        raise OutputError(f"{path} is {found}, not {container.name}: choose another name")
    if container.is_folder and not any(final.iterdir()):
        return
    if not options.overwrite:
        recorded = has_record(final, is_folder=container.is_folder)
        raise OutputError.exists(path, "" if recorded else "without a record of how it was made")
    if container.is_folder:
        check_replaceable(final)
