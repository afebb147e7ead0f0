"""From a generator file of the reference implementation to a model file of ours."""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from geo2map.colour import ColourStatistics
from geo2map.errors import ModelFileError
from geo2map.families import FAMILIES, Family
from geo2map.files.place import require_new
from geo2map.model.card import FAITHFUL_SIDE, ModelCard
from geo2map.model.file import save_model
from geo2map.types import WeightsDtype

if TYPE_CHECKING:
    from torch import Tensor

ZOOM, GROUND_RESOLUTION = 16, 1.9
"""Zoom and metres per pixel of pix2pix's recipe: 600 px of 0.905 m are reduced to 286."""
WRAPPERS = ("state_dict", "model_state_dict", "netG")
"""Keys under which training programs save a generator's state."""


@dataclass(frozen=True, kw_only=True)
class ImportFacts:
    """Facts that a file of foreign weights does not hold.

    Attributes:
        name: of the model; None is the stem of the model file.
        zoom, ground_resolution: of the training imagery, the latter in metres per pixel; see `scale`.
        colours: statistics of the training imagery; None where nobody knows them: scenes are then not matched.
        licence: of the weights.
    """

    name: str | None = None
    zoom: int | None = None
    ground_resolution: float | None = None
    colours: ColourStatistics | None = None
    licence: str = "unknown: ask whoever made the weights"


def import_model(path: Path, out: Path, *, dtype: WeightsDtype = "fp32", overwrite: bool = False, **facts: Any) -> None:
    """Writes a model file that is the same function as a generator file of pytorch-CycleGAN-and-pix2pix in eval mode.

    A generator with batch norm is exact with its full margin, and can also run in mode "faithful"; one with instance
    norm runs in mode "faithful" alone, see `ModelCard.in_mode`.

    Args:
        path: the state of a U-Net generator, e.g. latest_net_G.pth. Only tensors are read, no pickled code is run.
        out: the model file to write.
        dtype: of the weights in the file; "fp16" is half as large and no longer the same to the last digit.
        overwrite: replace an existing `out`.
        facts: the fields of `ImportFacts`.

    Raises:
        ModelFileError: not such a file.
        OutputError: `out` exists or cannot be written.
    """
    require_new(out, overwrite)
    known = ImportFacts(**facts)
    zoom, ground_resolution = scale(known.zoom, known.ground_resolution)
    try:
        family, config, weights = _converted(_load(path))
        margin, size_multiple = _reach(family, config)
    except ModelFileError as error:
        raise ModelFileError(f"{path}: {error}") from error
    card = ModelCard(
        name=known.name or out.stem,
        architecture=family.name,
        config=config,
        ground_resolution=ground_resolution,
        zoom=zoom,
        margin=margin,
        size_multiple=size_multiple,
        colours=known.colours,
        training={"imported": path.name, "sha256": _digest(path)},
        licence=known.licence,
        limits="Imported: nothing is known about its quality until geo2map evaluate has measured it.",
    )
    save_model(out, weights, card if family.is_exact(config) else card.in_mode("faithful"), dtype)


def scale(zoom: int | None, ground_resolution: float | None) -> tuple[int, float]:
    """Zoom and ground resolution of training imagery: what is not known follows from the other, and both together
    are those of pix2pix's recipe on the maps pictures.

    Raises:
        ModelFileError: a ground resolution that is not positive.
    """
    if ground_resolution is None:
        ground_resolution = GROUND_RESOLUTION * 2.0 ** (ZOOM - (ZOOM if zoom is None else zoom))
    if not ground_resolution > 0:
        raise ModelFileError(
            f"ground resolution {ground_resolution} is not more than 0; give metres per pixel",
            option="ground_resolution",
        )
    if zoom is None:
        zoom = round(ZOOM - math.log2(ground_resolution / GROUND_RESOLUTION))
    return zoom, ground_resolution


def _converted(state: Mapping[str, Tensor]) -> tuple[Family, dict[str, Any], dict[str, Tensor]]:
    """The family that takes a state, with its configuration and weights.

    Raises:
        ModelFileError: no family takes it; the first one's reason.
    """
    reasons = []
    for family in FAMILIES.values():
        try:
            return family, *family.convert(state)
        except ModelFileError as error:
            reasons.append(error)
    raise reasons[0]


def _reach(family: Family, config: dict[str, Any]) -> tuple[int, int]:
    """Margin and size multiple of a network, which must fit into a tile."""
    import torch

    with torch.device("meta"):
        generator = family.build(config)
    if generator.size_multiple > FAITHFUL_SIDE:
        raise ModelFileError(
            f"the network works on multiples of {generator.size_multiple} px, but a tile has {FAITHFUL_SIDE}: a U-Net "
            "of more than 8 levels cannot be imported"
        )
    return generator.margin, generator.size_multiple


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:16]


def _load(path: Path) -> Mapping[str, Tensor]:
    """The tensors of a .pth file. Only tensors are unpickled: code in the file is refused, not run."""
    import torch

    try:
        found = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise ModelFileError(f"the file cannot be read ({error.strerror}); check the path") from error
    except Exception as error:  # bytes of any kind may make torch's reader stumble over anything
        raise ModelFileError(_refusal(error)) from error
    for wrapper in WRAPPERS:
        if isinstance(found, Mapping) and isinstance(found.get(wrapper), Mapping):
            found = found[wrapper]
    if not isinstance(found, Mapping) or not all(isinstance(tensor, torch.Tensor) for tensor in found.values()):
        kind = f"a dict of {', '.join(map(str, found))[:100]}" if isinstance(found, Mapping) else type(found).__name__
        raise ModelFileError(f"not a generator's state, but {kind}; save net.state_dict() alone")
    if sum(tensor.numel() * tensor.element_size() for tensor in found.values()) > path.stat().st_size:
        raise ModelFileError("the file claims more numbers than it holds; get it again from its maker")
    return {str(key): tensor for key, tensor in found.items()}


def _refusal(error: Exception) -> str:
    stranger = re.search(r"GLOBAL (\S+)", str(error))
    if stranger:
        return (
            f"the file holds Python code or objects ({stranger[1]}) beside tensors, and these are never loaded; save "
            "net.state_dict() alone, and do not trust a file that was said to be just that"
        )
    said = " ".join(str(error).split())[:120]
    return f"not a PyTorch file, or a damaged one ({type(error).__name__}: {said}); get it again"
