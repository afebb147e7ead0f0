"""FID and KID: distances between the Inception v3 features of translations and of true pictures.

torchmetrics computes both, with torch-fidelity's port of the TensorFlow network, its resize included: the figures are
those of torch-fidelity and pytorch-fid. Nothing is ever downloaded; the weights are a file that the user has.
"""

from __future__ import annotations

import hashlib
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch

from geo2map.errors import DataError, ModelFileError, missing_extra
from geo2map.metrics import finite
from geo2map.types import Image

WEIGHTS = "weights-inception-2015-12-05-6726825d.pth"
URL = f"https://github.com/toshas/torch-fidelity/releases/download/v0.2.0/{WEIGHTS}"
FEATURES = 2048
KID_SUBSETS, KID_SUBSET_SIZE = 10, 50
"""As StegoGAN measures on the maps pictures."""


def find_weights() -> Path | None:
    """The weights where torch-fidelity keeps them, in the cache of torch.hub; None if they are not there."""
    path = Path(torch.hub.get_dir()) / "checkpoints" / WEIGHTS
    return path if path.is_file() else None


class Inception:
    """The feature network.

    Args:
        weights: torch-fidelity's (or pytorch-fid's) file of weights, about 91 MB.
        device: where it runs.

    Attributes:
        fingerprint: first eight hex digits of the file's SHA-256; 6726825d is the literature's.

    Raises:
        ModelFileError: no such file, or not these weights.
        DataError: torchmetrics or torch-fidelity is not installed.
    """

    def __init__(self, weights: Path, device: torch.device) -> None:
        if not weights.is_file():
            raise ModelFileError(f"{weights}: Inception weights not found; download {URL}", option="inception")
        self.device = torch.device("cpu") if device.type == "mps" else device  # torchmetrics sums in double
        self.fingerprint = hashlib.sha256(weights.read_bytes()).hexdigest()[:8]
        self._network = _load(weights).to(self.device)

    @torch.inference_mode()
    def features(self, picture: Image) -> torch.Tensor:
        """What the network makes of a uint8 (H, W, 3): float32 (1, 2048)."""
        pixels = torch.from_numpy(np.ascontiguousarray(picture.transpose(2, 0, 1)))[None]
        return self._network(pixels.to(self.device))

    def distances(self) -> InceptionDistances:
        """Fresh sums for one row of a table."""
        return InceptionDistances(self)


def _load(weights: Path) -> torch.nn.Module:
    try:
        import torch_fidelity  # noqa: F401
        from torchmetrics.image.fid import NoTrainInceptionV3
    except (ImportError, RuntimeError) as error:  # RuntimeError: a torchvision that was built for another torch
        raise DataError(missing_extra(f"FID and KID ({error})", "fid")) from error
    try:
        torch.load(weights, map_location="cpu", weights_only=True)  # torch-fidelity itself would unpickle anything
        return NoTrainInceptionV3("inception-v3-compat", [str(FEATURES)], str(weights), antialias=False)
    except Exception as error:  # bytes of any kind may make torch's reader stumble over anything
        raise ModelFileError(
            f"{weights} was given as Inception weights, but is not torch-fidelity's file ({type(error).__name__}): "
            f"get {URL}"
        ) from error


class _Given(torch.nn.Identity):
    """The metrics get features instead of pictures, so that each picture is looked at once for both."""

    num_features = FEATURES


class InceptionDistances:
    """FID and KID of the pictures added so far (a `geo2map.evaluate.PictureDistances`).

    Memory: two 2048 x 2048 matrices, and 16 KB a pair for KID.
    """

    def __init__(self, inception: Inception) -> None:
        from torchmetrics.image.fid import FrechetInceptionDistance
        from torchmetrics.image.kid import KernelInceptionDistance

        self._inception = inception
        self._fid = FrechetInceptionDistance(_Given()).to(inception.device)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that it keeps all features is said above
            self._kid = KernelInceptionDistance(_Given(), subsets=KID_SUBSETS, subset_size=KID_SUBSET_SIZE)
        self._pairs = 0

    def add(self, truth: Image, prediction: Image) -> None:
        """Takes note of two uint8 (H, W, 3)."""
        for picture, real in ((truth, True), (prediction, False)):
            features = self._inception.features(picture)
            self._fid.update(features, real=real)
            self._kid.update(features.cpu(), real=real)
        self._pairs += 1

    def report(self) -> dict[str, Any]:
        """`fid`; `kid` and `kid_std` x 100, over subsets drawn with a fixed seed; `inception`, the fingerprint.

        FID needs two pairs, KID `KID_SUBSET_SIZE`; None below that. Compare FID at equal numbers of pictures only.
        """
        kid: tuple[float | None, ...] = (None, None)
        if self._pairs >= KID_SUBSET_SIZE:
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(0)
                kid = tuple(finite(100 * value.item()) for value in self._kid.compute())
        fid = finite(self._fid.compute().item()) if self._pairs > 1 else None
        return {"fid": fid, "kid": kid[0], "kid_std": kid[1], "inception": self._inception.fingerprint}
