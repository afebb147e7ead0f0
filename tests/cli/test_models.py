"""`geo2map models`: list, show, import, and what can be done with an imported model afterwards."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from geo2map.families import build
from geo2map.model import load_card, load_weights, packaged_models, save_model

Command = Callable[..., Any]
Make = Callable[..., nn.Module]


@pytest.fixture
def generator_file(reference_unet: Make, tmp_path: Path) -> Callable[[str], Path]:
    """Writes a generator's state with a norm."""

    def write(norm: str) -> Path:
        torch.save(reference_unet(norm).state_dict(), tmp_path / f"{norm}_net_G.pth")
        return tmp_path / f"{norm}_net_G.pth"

    return write


def test_the_packaged_models_are_listed(geo2map: Command) -> None:
    names = list(packaged_models())
    assert "sat2map" in names
    result = geo2map("models", "list")
    assert [line.split(":")[0].removesuffix(" (default)") for line in result.out.splitlines()] == names
    assert "\nsat2map (default): maps from imagery, 0.905 m per pixel (zoom 17), seamless" in result.out
    assert result.out.startswith("map2sat: imagery from maps, ")
    listed = json.loads(geo2map("models", "list", "--json").out)
    assert [model["name"] for model in listed] == names
    assert [model["name"] for model in listed if model["default"]] == ["sat2map"]


def test_a_folder_is_listed_whatever_else_it_holds(geo2map: Command, tiny_model: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.safetensors").write_bytes(tiny_model.read_bytes())
    (tmp_path / "broken.safetensors").write_bytes(tiny_model.read_bytes()[:100])
    result = geo2map("models", "list", tmp_path)
    assert result.code == 0
    assert result.out.startswith("mine: ")
    assert result.out.count("\n") == 1
    assert result.err.startswith("warning: ")
    assert "broken.safetensors" in result.err
    (tmp_path / "mine.safetensors").unlink()
    (tmp_path / "broken.safetensors").unlink()
    assert geo2map("models", "list", tmp_path).out == "none\n"
    assert geo2map("models", "list", tmp_path, "--json").out == "[]\n"


def test_a_card_is_shown_to_people_and_programs(geo2map: Command) -> None:
    text = geo2map("models", "show", "sat2map").out
    for word in ("fingerprint", "licence", "limits", "hardware", "road f1", "parameters", "palette", "margin"):
        assert word in text
    values = json.loads(geo2map("models", "show", packaged_models()["sat2map"], "--json").out)
    assert (values["name"], values["exact"], values["dtype"]) == ("sat2map", True, "fp16")
    assert values["parameters"] > 1e6
    assert values["bytes"] == packaged_models()["sat2map"].stat().st_size
    assert len(values["fingerprint"]) == 12


@pytest.mark.parametrize("command", [["--help"], ["list"], ["show", "sat2map"]])
def test_looking_needs_no_torch(command: list[str]) -> None:
    code = (
        "import sys; from geo2map_cli.main import cli; cli.main(['models', *sys.argv[1:]], standalone_mode=False);"
        "assert not {'torch', 'rasterio'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code, *command], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("norm", "options", "note"),
    [
        ("batch", (), None),
        ("batch", ("--mode", "faithful"), "each tile by itself"),
        ("instance", (), "each tile by itself"),
    ],
)
def test_an_imported_model_renders(
    norm: str,
    options: tuple[str, ...],
    note: str | None,
    geo2map: Command,
    generator_file: Callable[[str], Path],
    small_scene: Path,
    tmp_path: Path,
) -> None:
    model = tmp_path / "m.safetensors"
    done = geo2map("models", "import", generator_file(norm), "--out", model, "--ground-resolution", 0.9, "--json")
    assert (done.code, done.err) == (0, "")
    assert json.loads(done.out)["config"]["norm"] == norm
    folder = tmp_path / "tiles"
    rendered = geo2map("render", small_scene, "--out", folder, "--model", model, *options, "--json")
    report = json.loads(rendered.out)
    assert (rendered.code, report["maxzoom"], report["tiles"]) == (0, 17, 4)
    assert any("no colour statistics: colours unchanged" in line for line in report["notes"])
    assert any("warning" in line for line in report["notes"]) == (note is not None)
    assert note is None or note in report["notes"][-1]


def test_the_colours_of_another_model_can_be_taken_over(
    geo2map: Command, generator_file: Callable[[str], Path], tmp_path: Path
) -> None:
    file, out = generator_file("batch"), tmp_path / "m.safetensors"
    assert geo2map("models", "import", file, "--out", out, "--colours-from", "sat2map").code == 0
    assert load_card(out).colours == load_card(packaged_models()["sat2map"]).colours
    grey = tmp_path / "grey.safetensors"
    geo2map("models", "import", file, "--out", grey)
    assert geo2map("models", "import", file, "--out", tmp_path / "x", "--colours-from", grey).code == 2
    assert not (tmp_path / "x").exists()


def test_measuring_an_imported_model_leaves_its_weights_alone(
    geo2map: Command, generator_file: Callable[[str], Path], tmp_path: Path
) -> None:
    (tmp_path / "pairs").mkdir()
    noise = np.random.default_rng(0).integers(0, 256, (64, 128, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "pairs" / "1.png")
    model = tmp_path / "m.safetensors"
    geo2map("models", "import", generator_file("batch"), "--out", model)
    before = load_weights(model)
    assert geo2map("evaluate", "--data", tmp_path / "pairs", "--model", model, "--write-card").code == 0
    assert "native" in load_card(model).metrics
    assert all(torch.equal(tensor, before[name]) for name, tensor in load_weights(model).items())


# What goes wrong


def test_errors_are_one_sentence_and_leave_nothing(
    geo2map: Command, generator_file: Callable[[str], Path], small_scene: Path, tmp_path: Path
) -> None:
    file, model = generator_file("instance"), tmp_path / "m.safetensors"
    geo2map("models", "import", file, "--out", model)
    (tmp_path / "text.pth").write_text("no pickle\n", encoding="utf-8")
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    out, tiles = ("--out", tmp_path / "new.safetensors"), ("--out", tmp_path / "new")
    for arguments, phrase in (
        (("models", "import", file, "--out", model), "overwrite"),
        (("models", "import", tmp_path / "text.pth", *out), "or a damaged one"),
        (("models", "import", tmp_path / "missing.pth", *out), "cannot be read"),
        (("models", "import", file, "--out", tmp_path / "text.pth" / "m.safetensors"), "cannot be written"),
        (("models", "show", file), "models import"),
        (("models", "show", "nobody"), "sat2map"),
        (("models", "list", tmp_path / "missing"), "not found"),
        (("render", small_scene, *tiles, "--model", model, "--mode", "exact"), "leave mode out"),
        (("render", small_scene, *tiles, "--model", model, "--margin", 256), "leave it out (--margin)"),
        (("render", small_scene, *tiles, "--model", model, "--match", "model"), "leave it out (--match)"),
    ):
        result = geo2map(*arguments)
        assert (result.code, result.out) == (1, ""), result
        assert result.err.startswith("geo2map: ")
        assert result.err.count("\n") == 1
        assert phrase in result.err
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_ends_of_one_training_are_averaged(geo2map: Command, tiny_model: Path, tmp_path: Path) -> None:
    other, third, out = (tmp_path / f"{name}.safetensors" for name in ("other", "third", "mean"))
    first = load_card(tiny_model)
    for path, factor in ((other, 3), (third, 5)):
        weights = {key: w * factor if w.is_floating_point() else w for key, w in load_weights(tiny_model).items()}
        training = first.training | {"recipe": {"lambda_gan": factor}}
        save_model(path, weights, replace(first, name=path.stem, training=training))
    average = ("models", "average", tiny_model, other, third)
    assert geo2map(*average, "--out", out, "--shares", "4,2,2", "--name", "mean").code == 0
    card = load_card(out)
    assert (card.name, card.metrics) == ("mean", {})
    went_in = [(part["name"], part["share"], part.get("lambda_gan")) for part in card.training["mean_of"]]
    assert went_in == [(first.name, 0.5, None), ("other", 0.25, 3), ("third", 0.25, 5)]
    shown = " ".join(geo2map("models", "show", out).out.split())
    assert "name other, share 0.25" in shown
    means = {"4,2,2": 2.5, "0,1,1": 4.0, None: 3.0}
    for shares, factor in means.items():
        asked = () if shares is None else ("--shares", shares)
        assert geo2map(*average, "--out", out, "--overwrite", *asked).code == 0
        for key, mine in load_weights(tiny_model).items():
            if mine.is_floating_point():
                np.testing.assert_allclose(load_weights(out)[key], factor * mine, rtol=2e-3, atol=1e-6)


def test_what_cannot_be_averaged(geo2map: Command, tiny_model: Path, tmp_path: Path) -> None:
    out = tmp_path / "mean.safetensors"
    wrong = {
        "differ in config": (tiny_model, "sat2map"),
        "give two or more": (tiny_model,),
        "give one for each model": (tiny_model, tiny_model, "--shares", "1,2,3"),
        "none below 0": (tiny_model, tiny_model, "--shares", "-1,2"),
        "not all 0": (tiny_model, tiny_model, "--shares", "0,0"),
    }
    for phrase, arguments in wrong.items():
        refused = geo2map("models", "average", *arguments, "--out", out)
        code = 1 if phrase == "differ in config" else 2  # which the command line alone does not show
        assert (refused.code, refused.out) == (code, "")
        assert phrase in refused.err
        assert not out.exists()
    assert geo2map("models", "average", tiny_model, tiny_model, "--out", out, "--shares", "a").code == 2
    out.touch()
    assert "exists already" in geo2map("models", "average", tiny_model, tiny_model, "--out", out).err


def test_a_model_is_crispened_and_back(geo2map: Command, tiny_model: Path, tmp_path: Path) -> None:
    out, plain = tmp_path / "crisp.safetensors", tmp_path / "plain.safetensors"
    palette = load_card(packaged_models()["sat2map"]).palette
    model = tmp_path / "maps.safetensors"
    save_model(model, load_weights(tiny_model), replace(load_card(tiny_model), palette=palette))
    assert geo2map("models", "crispen", model, "--out", out, "--sigma", "4").code == 0
    before, after = load_card(model), load_card(out)
    assert after.config["crispen"]["sigma"] == 4
    assert after.margin > before.margin
    assert all(torch.equal(weight, load_weights(model)[key]) for key, weight in load_weights(out).items())
    assert geo2map("models", "crispen", out, "--out", plain, "--sharpen", "0", "--commit", "0").code == 0
    assert (load_card(plain).config, load_card(plain).margin) == (before.config, before.margin)


@pytest.fixture
def scoring_model(tiny_model: Path, tmp_path: Path) -> Path:
    """A tiny model with a legend."""
    palette = load_card(packaged_models()["sat2map"]).palette
    assert palette is not None
    config = {"widths": [4, 6], "legend": palette.colours.tolist()}
    torch.manual_seed(5)
    network = build("unet", **config)
    with torch.no_grad():
        network.up[0][1].weight *= 50
    path = tmp_path / "scoring.safetensors"
    card = replace(load_card(tiny_model), config=config, palette=palette, margin=network.margin, size_multiple=4)
    save_model(path, network.state_dict(), card)
    return path


def test_a_legend_is_calibrated(geo2map: Command, scoring_model: Path, tmp_path: Path) -> None:
    """What the network scores is what it did, plus the favour, times the certainty."""
    out = tmp_path / "c.safetensors"
    choices = ("--certainty", "2.5", "--favour", "park=3,highway=-1")
    assert geo2map("models", "calibrate", scoring_model, "--out", out, *choices).code == 0
    card, x = load_card(out), torch.rand(1, 3, 16, 16) * 2 - 1
    found, before = (build("unet", **card.config) for _ in range(2))
    found.load_state_dict(load_weights(out))
    before.load_state_dict(load_weights(scoring_model))
    assert card.palette is not None
    added = torch.tensor([{"park": 3.0, "highway": -1.0}.get(name, 0.0) for name, _ in card.palette.entries])
    with torch.inference_mode():
        expected = 2.5 * (before.eval()(x, return_logits=True) + added[:, None, None])
        torch.testing.assert_close(found.eval()(x, return_logits=True), expected, rtol=1e-2, atol=1e-2)
    assert card.training["calibration"] == {"certainty": 2.5, "favour": {"park": 3.0, "highway": -1.0}}
    assert "exists already" in geo2map("models", "calibrate", scoring_model, "--out", out).err


def test_what_cannot_be_calibrated(geo2map: Command, scoring_model: Path, tmp_path: Path) -> None:
    out = tmp_path / "c.safetensors"
    for code, phrase, arguments in (
        (1, "no legend to calibrate", ("map2sat",)),
        (1, "no class lawn", (scoring_model, "--favour", "lawn=1")),
        (1, "--inverse-temperature", (scoring_model, "--certainty", "0")),
        (1, "--class-bias", (scoring_model, "--class-bias", "park=nan")),
        (2, "is not a list of classes and numbers", (scoring_model, "--favour", "park")),
    ):
        refused = geo2map("models", "calibrate", *arguments, "--out", out)
        assert (refused.code, refused.out) == (code, "")
        assert phrase in refused.err
        assert not out.exists()


def test_what_cannot_be_crispened(geo2map: Command, tmp_path: Path) -> None:
    out = tmp_path / "crisp.safetensors"
    for phrase, arguments in {
        "at most 8": ("sat2map", "--sigma", "9"),
        "no palette": ("map2sat",),
        "commit 0 to 1": ("sat2map", "--commit", "2"),
    }.items():
        refused = geo2map("models", "crispen", *arguments, "--out", out)
        assert (refused.code, refused.out) == (1, "")
        assert phrase in refused.err
        assert not out.exists()
