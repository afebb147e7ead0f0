"""Models for other programs."""

from __future__ import annotations

from pathlib import Path

from geo2map.errors import OutputError
from geo2map.files.atomic import write_whole
from geo2map.files.place import require_new
from geo2map.model import find_model
from geo2map.model.mlm import mlm_json
from geo2map.types import PathLike


def export_model(
    model: PathLike,
    *,
    onnx: Path | None = None,
    mlm: Path | None = None,
    tile: int | None = None,
    overwrite: bool = False,
) -> list[Path]:
    """Writes a model in the forms that other programs read.

    Args:
        model: a packaged model's name, or a file.
        onnx: ONNX file to write, see `geo2map.engine.onnx.write_onnx`.
        mlm: STAC item to write, see `geo2map.model.mlm.mlm_item`; it names the files beside it.
        tile: side of an ONNX file's tiles, px; None leaves the choice.
        overwrite: replaces existing files.

    Returns:
        The files written.

    Raises:
        ModelFileError: not a model, or it cannot have this form.
        SetupError: a library is missing.
        OutputError: nothing to write, or a file exists or cannot be written.
    """
    if onnx is None and mlm is None:
        raise OutputError("neither onnx nor mlm: give at least one file to write", option="onnx", usage=True)
    path = find_model(model)
    for out in filter(None, (onnx, mlm)):
        require_new(out, overwrite)
    if onnx is not None:
        from geo2map.engine.onnx import write_onnx

        write_onnx(path, onnx, tile=tile)
    if mlm is not None:
        write_whole(mlm, mlm_json(path, onnx=onnx))
    return [out for out in (onnx, mlm) if out is not None]
