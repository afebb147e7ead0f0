"""Model files: one file, half precision, the card inside, written whole or not at all."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from geo2map.colour import ColourStatistics
from geo2map.colour.palette import MAPS_PALETTE
from geo2map.errors import ModelFileError, OutputError
from geo2map.families import build
from geo2map.model import (
    ModelCard,
    ModelDescription,
    find_model,
    load_card,
    load_weights,
    models_in,
    packaged_models,
    replace_card,
    save_model,
)
from geo2map.types import WeightsDtype

CONFIG = {"widths": [4, 8, 8], "norm": "batch"}
CARD = ModelCard(
    name="little",
    architecture="unet",
    config=CONFIG,
    ground_resolution=0.905,
    zoom=17,
    margin=16,
    size_multiple=8,
    colours=ColourStatistics.of(np.random.default_rng(0).integers(0, 256, (999, 3), dtype=np.uint8)),
    palette=MAPS_PALETTE,
    training={"steps": 5},
    metrics={"road_f1": 0.5},
    licence="MIT",
    limits="New York only: ümlauts, too",
)


@pytest.fixture
def weights() -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    return build("unet", **CONFIG).state_dict()


@pytest.fixture
def path(tmp_path: Path, weights: dict[str, torch.Tensor]) -> Path:
    save_model(tmp_path / "little.safetensors", weights, CARD)
    return tmp_path / "little.safetensors"


def test_what_is_saved_is_loaded(path: Path, weights: dict[str, torch.Tensor]) -> None:
    loaded = load_weights(path)
    assert loaded.keys() == weights.keys()
    for name, tensor in weights.items():
        expected = tensor.half().float() if tensor.is_floating_point() else tensor
        assert loaded[name].dtype == expected.dtype
        torch.testing.assert_close(loaded[name], expected, rtol=0, atol=0)
    build("unet", **load_card(path).config).load_state_dict(loaded)


def test_the_card_is_loaded_but_for_the_hash_of_the_weights(path: Path) -> None:
    card = load_card(path)
    digest = card.training.pop("weights_sha256")
    assert card == CARD
    assert len(digest) == 16


def test_weights_are_half_precision_on_the_disk(path: Path, weights: dict[str, torch.Tensor]) -> None:
    with safe_open(path, framework="pt") as file:
        kinds = {file.get_slice(name).get_dtype() for name in file.keys()}  # noqa: SIM118 (not a dict)
    assert kinds == {"F16", "I64"}
    numbers = sum(tensor.numel() for tensor in weights.values())
    assert path.stat().st_size < 2 * numbers + 20_000


def test_the_card_can_be_read_without_torch(path: Path) -> None:
    import subprocess
    import sys

    code = "import sys; from pathlib import Path; from geo2map.model import load_card;"
    code += "print(load_card(Path(sys.argv[1])).name, 'torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True)
    assert done.stdout == "little False\n"


def test_the_same_model_gives_the_same_bytes(path: Path, tmp_path: Path, weights: dict[str, torch.Tensor]) -> None:
    save_model(tmp_path / "again.safetensors", dict(reversed(weights.items())), CARD)
    assert (tmp_path / "again.safetensors").read_bytes() == path.read_bytes()


def test_the_fingerprint_changes_with_weights_and_card(path: Path, weights: dict[str, torch.Tensor]) -> None:
    before = load_card(path).fingerprint
    name = next(iter(weights))
    save_model(path, weights | {name: weights[name] + 1}, CARD)
    other_weights = load_card(path).fingerprint
    save_model(path, weights, replace(CARD, margin=24))
    assert len({before, other_weights, load_card(path).fingerprint}) == 3


def test_a_failed_save_leaves_the_older_model(
    path: Path, weights: dict[str, torch.Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = path.read_bytes()

    def fail(*_: object) -> None:
        raise OSError("no space left on device")

    for owner, method in ((os, "fsync"), (Path, "replace")):
        with monkeypatch.context() as patch:
            patch.setattr(owner, method, fail)
            with pytest.raises(OutputError, match="no space"):
                save_model(path, weights, replace(CARD, name="newer"))
        assert path.read_bytes() == before
        assert list(path.parent.iterdir()) == [path]


# The card


def test_the_cards_json_round_trip() -> None:
    assert ModelCard.from_json(CARD.to_json()) == CARD
    without = replace(CARD, palette=None, colours=None)
    assert ModelCard.from_json(without.to_json()) == without


@pytest.mark.parametrize(
    ("text", "phrase"),
    [
        ("{", "cannot be read"),
        ("[]", "cannot be read"),
        ("{}", "cannot be read"),
        (json.dumps(json.loads(CARD.to_json()) | {"format": 99}), "update geo2map"),
        (json.dumps(json.loads(CARD.to_json()) | {"surprise": 1}), "cannot be read"),
        (json.dumps(json.loads(CARD.to_json()) | {"colours": [[1, 2]]}), "cannot be read"),
        (json.dumps(json.loads(CARD.to_json()) | {"ground_resolution": 0}), "these cannot be"),
        (json.dumps(json.loads(CARD.to_json()) | {"matching": 1.1}), "these cannot be"),
        (json.dumps(json.loads(CARD.to_json()) | {"matching": "all"}), "cannot be read"),
        (json.dumps(json.loads(CARD.to_json()) | {"exact": False}), "only 0 and 256 go with that"),
    ],
)
def test_a_card_that_is_none(text: str, phrase: str) -> None:
    with pytest.raises(ModelFileError, match=phrase):
        ModelCard.from_json(text)


def test_modes() -> None:
    faithful = CARD.in_mode("faithful")
    assert CARD.in_mode(None) == CARD.in_mode("exact") == CARD
    assert faithful.in_mode(None) == faithful.in_mode("faithful") == faithful
    assert (faithful.exact, faithful.margin, faithful.size_multiple) == (False, 0, 256)
    assert faithful.fingerprint != CARD.fingerprint
    with pytest.raises(ModelFileError, match="leave mode out"):
        faithful.in_mode("exact")


def test_without_colours_mid_grey_stands_for_no_data() -> None:
    assert CARD.colours is not None
    assert CARD.neutral == CARD.colours.neutral("a2b")
    backwards = replace(CARD, training={"recipe": {"direction": "b2a"}})
    assert backwards.neutral == CARD.colours.median
    assert replace(CARD, colours=None).neutral == (128, 128, 128)


# Storing


def test_weights_can_be_stored_in_full(path: Path, weights: dict[str, torch.Tensor]) -> None:
    save_model(path, weights, CARD, "fp32")
    for name, tensor in load_weights(path).items():
        torch.testing.assert_close(tensor, weights[name], rtol=0, atol=0)
    with safe_open(path, framework="numpy") as file:
        assert {file.get_slice(name).get_dtype() for name in file.keys()} == {"F32", "I64"}  # noqa: SIM118


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 70_000.0])
def test_weights_that_do_not_fit_are_refused(path: Path, weights: dict[str, torch.Tensor], value: float) -> None:
    before = path.read_bytes()
    with pytest.raises(ModelFileError, match=r"down\.0\.0\.weight is not finite in fp16"):
        save_model(path, weights | {"down.0.0.weight": weights["down.0.0.weight"] + value}, CARD)
    assert path.read_bytes() == before


@pytest.mark.parametrize("dtype", ["fp16", "fp32"])
def test_another_card_leaves_the_weights_alone(
    path: Path, weights: dict[str, torch.Tensor], dtype: WeightsDtype
) -> None:
    save_model(path, weights, CARD, dtype)
    card, before, size = load_card(path), load_weights(path), path.stat().st_size
    replace_card(path, card)
    assert path.stat().st_size == size
    replace_card(path, replace(card, metrics={"native": {"road_f1": 0.75}}))
    after = load_weights(path)
    assert load_card(path) == replace(card, metrics={"native": {"road_f1": 0.75}})
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_a_description(path: Path) -> None:
    found = ModelDescription.of(path)
    parameters = sum(p.numel() for p in build("unet", **CONFIG).parameters())
    assert (found.parameters, found.dtype, found.bytes) == (parameters, "fp16", path.stat().st_size)
    values = json.loads(json.dumps(found.to_dict()))
    assert (values["name"], values["parameters"], values["metrics"]) == ("little", parameters, {"road_f1": 0.5})
    text = str(replace(found, card=replace(CARD, metrics={"native": {"psnr": 24.5}, "maps256": {"ssim": 0.7}})))
    for phrase in ("0.905 m per pixel (zoom 17)", "margin of 16 px", "widths 4-8-8", "highway 250-158-37", "ümlauts"):
        assert phrase in text
    table = [line.split() for line in text.splitlines()[-3:]]
    assert table == [["metrics", "native", "maps256"], ["psnr", "24.5", "-"], ["ssim", "-", "0.7"]]
    assert max(map(len, text.splitlines())) <= 100 + len(str(path))


# Bad files


def test_files_that_are_no_models(path: Path, tmp_path: Path) -> None:
    bad = tmp_path / "bad.safetensors"
    with pytest.raises(ModelFileError, match="model not found"):
        load_card(bad)
    for size in (0, 5, 100, path.stat().st_size // 2, path.stat().st_size - 1):
        bad.write_bytes(path.read_bytes()[:size])
        for load in (load_card, load_weights):
            with pytest.raises(ModelFileError, match="get the model again"):
                load(bad)
    save_file({"weight": torch.ones(2)}, bad)
    with pytest.raises(ModelFileError, match="no geo2map card"):
        load_card(bad)


def test_nothing_is_unpickled(tmp_path: Path) -> None:
    """A pickle that would run code when loaded is refused without running it."""
    trap = tmp_path / "sprung"

    class Trap:
        def __reduce__(self) -> tuple[object, tuple[Path]]:
            return Path.touch, (trap,)

    torch.save(Trap(), tmp_path / "bad.pth")
    for load in (load_card, load_weights):
        with pytest.raises(ModelFileError):
            load(tmp_path / "bad.pth")
    assert not trap.exists()


def test_models_are_found_by_name_and_by_path(path: Path) -> None:
    assert find_model(path) == path
    assert find_model("sat2map") == packaged_models()["sat2map"]
    assert models_in(path.parent) == {"little": path}
    with pytest.raises(ModelFileError, match=r"did you mean map2sat\?"):
        find_model("map2sat?")
    with pytest.raises(ModelFileError, match="packaged model; the packaged ones are map2sat, sat2map"):
        find_model("unlike any")
    with pytest.raises(ModelFileError, match="folder not found"):
        models_in(path)


def test_the_packaged_model_fits_its_card() -> None:
    path = find_model("sat2map")
    card = load_card(path)
    network = build(card.architecture, **card.config)
    network.load_state_dict(load_weights(path))
    assert path.stat().st_size <= 16 * 2**20
    assert (network.margin, network.size_multiple) == (card.margin, card.size_multiple)
    assert card.exact
