"""The fit of a temperature, on pairs whose truth is drawn from the scores themselves."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from geo2map.api.calibrating import CalibrationPairs, calibrate_on_pairs, scoring_config
from geo2map.colour.palette import Palette
from geo2map.engine import Engine, load_engine
from geo2map.errors import DataError, ModelFileError
from geo2map.evaluate.confidence import fit_temperature
from geo2map.families import build
from geo2map.model import calibrate_model, load_card, load_weights, save_model
from geo2map.testing import make_card
from geo2map.train.pictures import PairFile, list_pairs

STYLE = (("land", (230, 230, 220)), ("road", (255, 255, 250)), ("water", (170, 200, 255)))
COLOURS = [colour for _, colour in STYLE]
HONEST = 3.0
"""The temperature at which the scores are the probabilities that the truths of these pairs are drawn with."""


@pytest.fixture(scope="module")
def scoring(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model file of a random network with a legend."""
    torch.manual_seed(3)
    config = {"widths": [6, 6], "legend": [list(colour) for colour in COLOURS]}
    network = build("unet", **config)
    for parameter in network.parameters():
        if parameter.ndim == 4:
            parameter.data.normal_(0, 0.35)
    card = make_card(config=config, size_multiple=4, margin=network.margin, palette=Palette(STYLE), colours=None)
    path = tmp_path_factory.mktemp("model") / "scoring.safetensors"
    save_model(path, network.state_dict(), card)
    return path


def sample_pairs(model: Path, folder: Path, temperature: float, count: int = 3) -> list[PairFile]:
    """Pictures, and maps whose classes are drawn by the probabilities that the model has at a temperature."""
    card, rng = load_card(model), np.random.default_rng(4)
    network = build(card.architecture, **card.config).eval()
    network.load_state_dict(load_weights(model))
    folder.mkdir()
    for number in range(count):
        image = rng.integers(0, 256, (96, 96, 3)).astype(np.uint8)
        padded = np.pad(image, ((card.margin, card.margin),) * 2 + ((0, 0),), mode="reflect")
        with torch.inference_mode():
            x = torch.from_numpy(padded).permute(2, 0, 1)[None].float() / 127.5 - 1
            scores = network(x, return_logits=True)[0, :, card.margin : -card.margin, card.margin : -card.margin]
        shares = torch.softmax(scores / temperature, 0).numpy()
        classes = (rng.random((96, 96)) > shares.cumsum(0)).sum(0).clip(0, 2)
        drawn = np.array(COLOURS, np.uint8)[classes]
        Image.fromarray(np.concatenate([image, drawn], axis=1)).save(folder / f"{number}.png")
    return list_pairs(folder)


def test_the_temperature_that_made_the_truth_is_found(scoring: Path, tmp_path: Path) -> None:
    files = sample_pairs(scoring, tmp_path / "home", HONEST)
    with load_engine(scoring, device="cpu") as engine:
        found = fit_temperature({"": files}, engine, scoring_config(engine.card), certainty=2.0)
    assert found.temperature == pytest.approx(HONEST, rel=0.15)
    assert found.errors[""] < 0.02


def test_a_calibrated_file_keeps_its_picture_and_says_the_temperature(scoring: Path, tmp_path: Path) -> None:
    sample_pairs(scoring, tmp_path / "home", HONEST)
    calibrate_model(scoring, tmp_path / "sharp.safetensors", inverse_temperature=4.0, class_bias={"water": 0.5})
    found = calibrate_on_pairs(
        tmp_path / "sharp.safetensors", tmp_path / "fitted.safetensors", pairs=CalibrationPairs(data=tmp_path / "home")
    )
    assert found is not None
    card = load_card(tmp_path / "fitted.safetensors")
    assert card.temperature == found.temperature == pytest.approx(4 * HONEST, rel=0.15)
    assert (card.certainty, card.favours) == (4.0, {"water": 0.5})
    before, after = (load_weights(tmp_path / f"{name}.safetensors") for name in ("sharp", "fitted"))
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_calibrations_add_up(scoring: Path, tmp_path: Path) -> None:
    """A file that was calibrated twice says how its scores came from those that were trained, and so does its
    confidence."""
    once, twice, straight = (tmp_path / f"{name}.safetensors" for name in ("once", "twice", "straight"))
    calibrate_model(scoring, once, inverse_temperature=2.0, class_bias={"water": -1.0, "road": 0.3}, temperature=5.0)
    calibrate_model(once, twice, inverse_temperature=3.0, class_bias={"water": 1.0})
    calibrate_model(scoring, straight, inverse_temperature=6.0, class_bias={"water": -0.5, "road": 0.3})
    card = load_card(twice)
    assert (card.certainty, card.favours, card.temperature) == (6.0, {"water": -0.5, "road": 0.3}, 30.0)
    for name, values in load_weights(straight).items():
        torch.testing.assert_close(load_weights(twice)[name], values, rtol=2e-3, atol=2e-3)


def test_favours_elsewhere_are_in_the_card_alone(scoring: Path, tmp_path: Path) -> None:
    """In logits of the model as it is, like the others; later calibrations keep them, an empty table removes them."""
    once, twice, thrice = (tmp_path / f"{name}.safetensors" for name in ("once", "twice", "thrice"))
    calibrate_model(scoring, once, inverse_temperature=2.0, class_bias_elsewhere={"road": 1.0})
    assert load_card(once).favours_elsewhere == (("road", 1.0),)
    calibrate_model(once, twice, class_bias_elsewhere={"road": 1.0, "water": -3.0})
    assert load_card(twice).favours_elsewhere == (("road", 0.5), ("water", -1.5))
    calibrate_model(twice, thrice, inverse_temperature=3.0)
    assert load_card(thrice).favours_elsewhere == load_card(twice).favours_elsewhere
    assert all(torch.equal(load_weights(once)[name], values) for name, values in load_weights(twice).items())
    calibrate_model(thrice, once, class_bias_elsewhere={}, overwrite=True)
    assert load_card(once).favours_elsewhere == ()
    with pytest.raises(ModelFileError, match="no class lake"):
        calibrate_model(scoring, twice, class_bias_elsewhere={"lake": 1.0}, overwrite=True)


def test_a_temperature_alone_keeps_the_figures_of_the_card(scoring: Path, tmp_path: Path) -> None:
    from dataclasses import replace

    measured = tmp_path / "measured.safetensors"
    save_model(measured, load_weights(scoring), replace(load_card(scoring), metrics={"native": {"rmse": 1.0}}))
    calibrate_model(measured, tmp_path / "a.safetensors", temperature=5.0)
    calibrate_model(measured, tmp_path / "b.safetensors", inverse_temperature=2.0)
    assert load_card(tmp_path / "a.safetensors").metrics == {"native": {"rmse": 1.0}}
    assert load_card(tmp_path / "b.safetensors").metrics == {}


def test_only_the_pictures_aside_are_taken(scoring: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sample_pairs(scoring, tmp_path / "home", HONEST)
    (tmp_path / "places").mkdir()
    sample_pairs(scoring, tmp_path / "places" / "town", HONEST)
    (tmp_path / "home.txt").write_text("1.png\n")
    (tmp_path / "places.txt").write_text("town/2.png\n")
    seen = []
    load = PairFile.load
    monkeypatch.setattr(PairFile, "load", lambda file: seen.append(file.a) or load(file))
    calibrate_on_pairs(
        scoring,
        tmp_path / "out.safetensors",
        pairs=CalibrationPairs(
            data=tmp_path / "home",
            validation=tmp_path / "home.txt",
            elsewhere=tmp_path / "places",
            elsewhere_aside=tmp_path / "places.txt",
        ),
    )
    assert set(seen) == {tmp_path / "home" / "1.png", tmp_path / "places" / "town" / "2.png"}
    with pytest.raises(DataError, match="without its pairs") as caught:
        CalibrationPairs(validation=tmp_path / "home.txt")
    assert caught.value.option == "validation"


def test_an_evaluation_reports_it(scoring: Path, tmp_path: Path) -> None:
    from geo2map.evaluate import evaluate, table

    files = sample_pairs(scoring, tmp_path / "home", HONEST)
    with load_engine(scoring, device="cpu") as engine:
        row = evaluate(files, engine, scoring_config(engine.card))
        plain = evaluate(files, _Silent(engine), scoring_config(engine.card))
    told = row.report()["confidence"]
    assert told["aurc_best"] < told["aurc"] < told["error"]
    assert told["accuracy_of_certain_half"] > 1 - told["error"]
    assert "ECE" in table([row])
    assert "confidence" not in plain.report()
    assert "ECE" not in table([plain])
    same = {key: value for key, value in row.report().items() if key != "confidence"}
    assert same == plain.report()


class _Silent:
    """The same engine that tells of no scores."""

    has_scores = False

    def __init__(self, engine: Engine) -> None:
        self.noise, self.translate_pixels = engine.noise, engine.translate_pixels
