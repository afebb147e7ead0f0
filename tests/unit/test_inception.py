"""FID and KID: with Inception weights drawn at random, which the figures' arithmetic does not mind."""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from geo2map.errors import DataError, ModelFileError
from geo2map.evaluate.inception import KID_SUBSET_SIZE, WEIGHTS, Inception, find_weights
from geo2map.types import Image

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def fidelity() -> Any:
    """torch-fidelity's Inception module; must never download."""
    try:
        from torch_fidelity import feature_extractor_inceptionv3
    except (ImportError, RuntimeError) as error:
        pytest.skip(f"needs the extra fid: {error}")
    return feature_extractor_inceptionv3


@pytest.fixture(scope="module")
def weights(fidelity: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file like the published one, of random numbers."""
    folder = tmp_path_factory.mktemp("inception")
    torch.save({}, folder / "nothing.pth")
    torch.manual_seed(0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fidelity.FeatureExtractorInceptionV3, "load_state_dict", lambda *_: None)
        network = fidelity.FeatureExtractorInceptionV3("random", ["2048"], str(folder / "nothing.pth"))
    torch.save(network.state_dict(), folder / WEIGHTS)
    return folder / WEIGHTS


@pytest.fixture(scope="module")
def inception(weights: Path) -> Inception:
    return Inception(weights, CPU)


def pictures(seed: int, count: int, spread: int = 256) -> list[Image]:
    return list(np.random.default_rng(seed).integers(0, spread, (count, 64, 64, 3), dtype=np.uint8))


def frechet(a: np.ndarray, b: np.ndarray) -> float:
    """From features (n, 2048); the trace of the root of the product of covariances is a nuclear norm."""
    x, y = (side - side.mean(axis=0) for side in (a, b))
    product = np.linalg.norm(x @ y.T, "nuc") / (len(a) - 1)
    spread = sum((side**2).sum() / (len(a) - 1) for side in (x, y))
    return float(((a.mean(axis=0) - b.mean(axis=0)) ** 2).sum() + spread - 2 * product)


def test_fid_is_the_frechet_distance_of_the_networks_features(inception: Inception, weights: Path) -> None:
    distances = inception.distances()
    truths, others = pictures(1, 4), pictures(2, 4, spread=128)
    for truth, other in zip(truths, others, strict=True):
        distances.add(truth, other)
    features = [np.concatenate([inception.features(p).numpy() for p in side]) for side in (truths, others)]
    report = distances.report()
    assert features[0].shape == (4, 2048)
    assert report["fid"] == pytest.approx(frechet(*(side.astype(np.float64) for side in features)), rel=1e-3, abs=1e-6)
    assert (report["kid"], report["kid_std"]) == (None, None)  # too few pictures
    assert report["inception"] == hashlib.sha256(weights.read_bytes()).hexdigest()[:8]


def test_kid_is_repeatable_and_leaves_random_numbers_alone(
    inception: Inception, monkeypatch: pytest.MonkeyPatch
) -> None:
    generator = torch.Generator().manual_seed(0)
    drawn = lambda picture: torch.rand(1, 2048, generator=generator) + picture.mean()  # noqa: E731
    monkeypatch.setattr(inception, "features", drawn)  # a hundred passes of the network would take a minute
    distances = inception.distances()
    for _ in range(KID_SUBSET_SIZE):
        distances.add(np.zeros((8, 8, 3), np.uint8), np.ones((8, 8, 3), np.uint8))
    state = torch.random.get_rng_state()
    report = distances.report()
    assert torch.equal(torch.random.get_rng_state(), state)
    torch.manual_seed(5)
    assert distances.report() == report
    assert report["kid"] > 0


def test_one_pair_has_no_distance(inception: Inception) -> None:
    distances = inception.distances()
    distances.add(*pictures(3, 2))
    assert distances.report()["fid"] is None


def test_weights_are_found_in_torch_hubs_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    torch.hub.set_dir(str(tmp_path / "hub"))
    try:
        assert find_weights() is None
        path = tmp_path / "hub" / "checkpoints" / WEIGHTS
        path.parent.mkdir(parents=True)
        path.touch()
        assert find_weights() == path
    finally:
        torch.hub._hub_dir = None


def test_missing_weights_are_an_error_that_says_where_to_get_them(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match=r"not found; download the Inception weights from https://.*6726825d\.pth"):
        Inception(tmp_path / "missing.pth", CPU)


@pytest.mark.usefixtures("fidelity")
def test_other_files_are_refused(tmp_path: Path) -> None:
    torch.save({"weight": torch.zeros(3)}, tmp_path / "other.pth")
    (tmp_path / "text.pth").write_text("nothing of the kind")
    for name in ("other.pth", "text.pth"):
        with pytest.raises(ModelFileError, match="not torch-fidelity's file"):
            Inception(tmp_path / name, CPU)


class Malicious:
    """Makes a file when unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


@pytest.mark.usefixtures("fidelity")
def test_a_malicious_file_is_not_unpickled(tmp_path: Path) -> None:
    torch.save({"fc.weight": Malicious(tmp_path / "broken-in")}, tmp_path / "evil.pth")
    with pytest.raises(ModelFileError):
        Inception(tmp_path / "evil.pth", CPU)
    assert not (tmp_path / "broken-in").exists()


def test_without_the_extra_the_error_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch_fidelity", None)
    (tmp_path / WEIGHTS).touch()
    with pytest.raises(DataError, match=r'-e "\.\[fid\]"'):
        Inception(tmp_path / WEIGHTS, CPU)
