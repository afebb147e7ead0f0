"""The models that come with the package, and how a name becomes a file."""

from __future__ import annotations

from difflib import get_close_matches
from pathlib import Path

from geo2map.errors import ModelFileError

DATA = Path(__file__).parent / "data"
DEFAULT_MODEL = "sat2map"
"""Name of the packaged model that is used where none is named."""


def packaged_models() -> dict[str, Path]:
    """Names and files of the packaged models."""
    return models_in(DATA)


def models_in(folder: Path) -> dict[str, Path]:
    """Names and files of the .safetensors files in a folder.

    Raises:
        ModelFileError: there is no such folder.
    """
    if not folder.is_dir():
        raise ModelFileError(f"folder not found: {folder}; check the path")
    return {path.stem: path for path in sorted(folder.glob("*.safetensors"))}


def find_model(model: str | Path) -> Path:
    """The file of a packaged model's name or of a path.

    Raises:
        ModelFileError: neither; the message lists the packaged names.
    """
    packaged = packaged_models()
    if str(model) in packaged:
        return packaged[str(model)]
    path = Path(model)
    if path.is_file():
        return path
    names = ", ".join(packaged) or "none"
    near = get_close_matches(str(model), packaged, n=1)
    meant = f" (did you mean {near[0]}?)" if near else ""
    raise ModelFileError(
        f"model not found: {str(model)!r} is neither a file nor a packaged model{meant}; the packaged ones are {names}",
        option="model",
    )
