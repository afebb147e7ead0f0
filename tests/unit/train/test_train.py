"""A training: its steps, its checkpoints, what it writes."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from geo2map.colour.palette import MAPS_PALETTE
from geo2map.engine import load_engine
from geo2map.engine.device import require_compiler
from geo2map.errors import DataError, DeviceError, OutputError
from geo2map.model import load_card, load_weights
from geo2map.train import pace
from geo2map.train.config import TrainConfig
from geo2map.train.dataset import Pairs
from geo2map.train.export import export
from geo2map.train.moving_average import MovingAverage
from geo2map.train.pace import Pace
from geo2map.train.pictures import list_pairs, list_pictures, load_pair
from geo2map.train.record import LossLog
from geo2map.train.run import Run
from geo2map.train.trainer import Trainer

TINY = TrainConfig(
    steps=6,
    batch=2,
    crop=64,
    widths=(8, 8, 8),
    residual_blocks=(0, 1, 0),
    discriminator_width=4,
    recalibrate=4,
    adversarial_from=0.5,
    autocast="none",
    seed=3,
)


@pytest.fixture(scope="module")
def pairs_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A|B pictures in which B is a colour code of A's brightness: learnable in seconds."""
    folder = tmp_path_factory.mktemp("pairs")
    rng = np.random.default_rng(0)
    for number in range(4):
        bright = np.kron(rng.random((6, 6)) > 0.5, np.ones((16, 16), dtype=bool))
        a = np.where(bright[..., None], 190, 60) + rng.integers(-9, 9, (96, 96, 3))
        b = np.where(bright[..., None], (254, 254, 252), (177, 208, 254))
        Image.fromarray(np.concatenate((a, b), 1).astype(np.uint8)).save(folder / f"{number}.png")
    return folder


def trainer(folder: Path, config: TrainConfig = TINY) -> Trainer:
    return Trainer(Pairs(list_pairs(folder), config))


def run_to(state: Trainer, folder: Path, until: int | None = None) -> None:
    Run(folder=folder, until=until).train(state)


def weights(run: Trainer) -> dict[str, torch.Tensor]:
    networks = (run.generator, run.discriminator, run.average)
    return {f"{i}.{k}": v for i, network in enumerate(networks) for k, v in network.state_dict().items()}


@pytest.mark.parametrize("norm", ["batch", "renorm"])
@pytest.mark.parametrize("autocast", ["none", "bf16", "fp16"])
def test_a_step_in_each_number_format(pairs_folder: Path, norm: str, autocast: str) -> None:
    config = replace(TINY, norm=norm, autocast=autocast, lambda_gan=0.0)  # type: ignore[arg-type]
    state = trainer(pairs_folder, config)
    before = weights(state)["0.down.0.0.weight"].clone()
    for step in range(20 if autocast == "fp16" else 1):  # loss scaling skips the steps that overflow
        state.train_step(state.batch(step))
    state.read_losses()
    assert np.isfinite(state.losses["l1"])
    assert (weights(state)["0.down.0.0.weight"] != before).any()


def test_losses_of_classes_are_part_of_a_step(pairs_folder: Path, tmp_path: Path) -> None:
    config = replace(TINY, steps=2, epochs=None, photometric=0.0, lambda_cross_entropy=1.0, lambda_jaccard=1.0)
    with_classes = Trainer(Pairs(list_pairs(pairs_folder), config, MAPS_PALETTE))
    without = Trainer(Pairs(list_pairs(pairs_folder), replace(config, lambda_cross_entropy=0.0, lambda_jaccard=0.0)))
    for state in (with_classes, without):
        run_to(state, tmp_path / str(id(state)))
    assert with_classes.losses["cross_entropy"] > 0
    assert 0 < with_classes.losses["jaccard"] < 1
    assert any((weights(with_classes)[name] != value).any() for name, value in weights(without).items())
    last = list(csv.DictReader((tmp_path / str(id(with_classes)) / "losses.csv").open()))[-1]
    assert float(last["jaccard"]) == pytest.approx(with_classes.losses["jaccard"], rel=1e-5)
    assert list(csv.DictReader((tmp_path / str(id(without)) / "losses.csv").open()))[-1]["jaccard"] == ""


def test_losses_of_classes_need_classes(pairs_folder: Path) -> None:
    with pytest.raises(DataError, match="lambda_jaccard: the target pictures have no classes"):
        trainer(pairs_folder, replace(TINY, lambda_jaccard=1.0))


def test_losses_of_an_older_kind_are_kept(tmp_path: Path) -> None:
    """A run that is resumed by a newer geo2map, which has more columns; a row that was cut off is dropped."""
    (tmp_path / "losses.csv").write_text("step,l1,forgotten\n1,0.5,9\n2,0.25,9\n3,0.1")
    log = LossLog(tmp_path / "losses.csv", 3)
    log.write(step=3, l1=0.125, unknown=7.0)
    log.close()
    rows = list(csv.DictReader((tmp_path / "losses.csv").open()))
    assert [(row["step"], row["l1"], row["jaccard"]) for row in rows] == [
        ("1", "0.5", ""),
        ("2", "0.25", ""),
        ("3", "0.125", ""),
    ]


@pytest.mark.parametrize("choices", [{}, {"norm": "renorm", "dropout": (3,), "gan_mode": "hinge"}])
def test_resuming_equals_never_having_stopped(pairs_folder: Path, tmp_path: Path, choices: dict[str, object]) -> None:
    """4 pairs, batch 2: 2 + 2 epochs equal 4 epochs, dropout and all."""
    config = replace(TINY, epochs=4.0, lambda_features=1.0, **choices)  # type: ignore[arg-type]
    through = trainer(pairs_folder, config)
    run_to(through, tmp_path / "through")
    run_to(trainer(pairs_folder, config), tmp_path / "stopped", until=4)
    resumed = trainer(pairs_folder, config)
    resumed.load(tmp_path / "stopped" / "checkpoint.pt")
    assert (resumed.step, resumed.epoch) == (4, 2)
    run_to(resumed, tmp_path / "stopped")
    assert resumed.step == through.step == 8
    expected = weights(through)
    for name, tensor in weights(resumed).items():
        assert torch.equal(tensor, expected[name]), name
    losses = [pd.read_text().splitlines() for pd in sorted(tmp_path.glob("*/losses.csv"))]
    steps = [[line.split(",")[0] for line in lines[1:]] for lines in losses]
    assert steps == [[str(n) for n in range(1, 9)]] * 2
    assert [p.name for p in sorted((tmp_path / "stopped" / "samples").iterdir())] == [
        f"epoch-000{n}.png" for n in (1, 2, 3, 4)
    ]


def test_the_pace_is_told_once_and_measuring_it_changes_nothing(
    pairs_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paces: list[Pace] = []
    plain, measured = trainer(pairs_folder), trainer(pairs_folder)
    Run(folder=tmp_path / "plain", on_pace=paces.append).train(plain)
    assert not paces  # six steps of nothing are too few to say
    monkeypatch.setattr(pace, "MEASURED_SECONDS", 0.0)
    Run(folder=tmp_path / "measured", on_pace=paces.append).train(measured)
    (found,) = paces
    assert found.crops_per_second == pytest.approx(2 * found.steps_per_second)
    assert found.seconds_left == pytest.approx(2 / found.steps_per_second)  # told after the fourth step of six
    assert 0 < (found.convolution_share or 0) <= 1
    assert f"{found.convolution_share:.0%} of it in convolutions" in str(found)
    expected = weights(plain)
    for name, tensor in weights(measured).items():
        assert torch.equal(tensor, expected[name]), name


def test_convolutions_are_timed_both_ways() -> None:
    """A network of convolutions alone spends nearly all its time in them, far more than half of it on a busy machine,
    too; one without any, none."""
    x = torch.randn(4, 16, 64, 64, requires_grad=True)
    layer = torch.nn.Conv2d(16, 64, 5)
    shares = []
    for step in (lambda: layer(x).mean().backward(), lambda: (x * x).mean().backward()):
        meter = pace.PaceMeter(torch.device("cpu"), 4, look_inside=True)
        for _ in range(pace.MEASURED_STEPS + 2):
            with meter.step():
                step()
        known = meter.pace(10)
        assert known is not None
        shares.append(known.convolution_share)
    assert shares[1] == 0.0
    assert shares[0] > 0.5


@pytest.mark.slow
def test_a_compiled_generator_trains_as_the_plain_one(pairs_folder: Path) -> None:
    try:
        require_compiler(torch.device("cpu"))
    except DeviceError as error:
        pytest.skip(str(error))
    plain, compiled = trainer(pairs_folder), Trainer(Pairs(list_pairs(pairs_folder), TINY), compiled=True)
    for state in (plain, compiled):
        for step in range(3):
            state.train_step(state.batch(step))
    expected = weights(plain)
    assert weights(compiled).keys() == expected.keys()
    for name, tensor in weights(compiled).items():
        torch.testing.assert_close(tensor, expected[name], rtol=0.02, atol=2e-3, msg=name)


def test_compiling_needs_a_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXX", "no-such-compiler")
    with pytest.raises(DeviceError, match=r"C\+\+ compiler \(no-such-compiler\)"):
        require_compiler(torch.device("cpu"))


def test_training_learns(pairs_folder: Path, tmp_path: Path) -> None:
    """With the moving average of a long run, which must not hold a short one back."""
    config = replace(TINY, steps=60, learning_rate=2e-3, photometric=0.0)
    run = trainer(pairs_folder, config)
    run_to(run, tmp_path)
    losses = [float(row["l1"]) for row in csv.DictReader((tmp_path / "losses.csv").open())]
    assert len(losses) == 60
    assert np.mean(losses[-5:]) < 0.5 * np.mean(losses[:5])
    export(run, tmp_path / "m.safetensors", name="m", zoom=17, ground_resolution=0.9)
    a, b = load_pair(list_pictures(pairs_folder)[0])
    translated = load_engine(tmp_path / "m.safetensors", device="cpu").translate_pixels(a[None])[0]
    error = np.abs(translated[16:-16, 16:-16].astype(int) - b[16:-16, 16:-16]).mean()
    constant = np.abs(b.astype(int) - np.median(b, axis=(0, 1))).mean()
    assert error < 0.6 * constant


def test_the_moving_average_forgets_the_first_weights_and_steadies_later_ones() -> None:
    network = torch.nn.Linear(1, 1, bias=False)
    average = MovingAverage(network, 0.998)

    def after(weight: float, steps: int) -> float:
        torch.nn.init.constant_(network.weight, weight)
        for _ in range(steps):
            average.update(network)
        return average.module.weight.item()

    assert after(0.0, 1) == 0.0
    assert after(1.0, 100) > 0.99
    after(0.0, 10_000)
    assert after(1.0, 1) == pytest.approx(1 - 0.998, rel=1e-3)


def test_the_exported_model_says_what_it_needs(pairs_folder: Path, tmp_path: Path) -> None:
    run = trainer(pairs_folder)
    run_to(run, tmp_path, until=2)
    export(run, tmp_path / "m.safetensors", name="m", zoom=16, ground_resolution=1.8, facts={"licence": "MIT"})
    card = load_card(tmp_path / "m.safetensors")
    assert (card.name, card.zoom, card.ground_resolution, card.licence) == ("m", 16, 1.8, "MIT")
    assert (card.margin, card.size_multiple) == (run.generator.margin, 8)
    assert card.training["recipe"]["seed"] == 3
    assert card.training["steps"] == 2


def test_a_checkpoint_of_another_network_is_refused(pairs_folder: Path, tmp_path: Path) -> None:
    trainer(pairs_folder).save(tmp_path / "checkpoint")
    other = trainer(pairs_folder, replace(TINY, widths=(8, 8), residual_blocks=(0, 0)))
    with pytest.raises(DataError, match=r": .* was trained with"):
        other.load(tmp_path / "checkpoint")


@pytest.mark.parametrize("fail", ["write", "rename"])
def test_a_checkpoint_that_cannot_be_written_keeps_the_older_one(
    fail: str, pairs_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "checkpoint"
    path.write_bytes(b"older")

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    owner, name = {"write": (torch, "save"), "rename": (Path, "replace")}[fail]
    monkeypatch.setattr(owner, name, full)
    with pytest.raises(OutputError, match=r"cannot be written: the disk is full \(No space left on device\)"):
        trainer(pairs_folder).save(path)
    assert [(found.name, found.read_bytes()) for found in tmp_path.glob("check*")] == [("checkpoint", b"older")]


def test_crops_are_a_function_of_the_step_alone(pairs_folder: Path) -> None:
    first, second = (Pairs(list_pairs(pairs_folder), TINY) for _ in range(2))
    for step in (5, 0):
        for ours, theirs in zip(first.batch(step), second.batch(step), strict=True):
            np.testing.assert_array_equal(ours, theirs)
    assert not np.array_equal(first.batch(0)[0], first.batch(1)[0])


def test_b2a_swaps_the_sides(pairs_folder: Path) -> None:
    a, b = (Pairs(list_pairs(pairs_folder), replace(TINY, direction=d)).input_pixels for d in ("a2b", "b2a"))
    assert b[:, 2].min() > 200 > a[:, 2].min()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda folder: (folder / "1.jpg").write_bytes(b"\xff\xd8 broken"), "1.jpg is not a readable picture"),
        (lambda folder: Image.new("RGB", (129, 64)).save(folder / "1.png"), "1.png is 129 px wide"),
        (lambda folder: Image.new("RGB", (80, 40)).save(folder / "1.png"), "1.png: 40 x 40 px per side"),
        (lambda _: None, "holds no .jpg or .png"),
    ],
)
def test_bad_data_names_the_file(tmp_path: Path, make, message: str) -> None:  # type: ignore[no-untyped-def]
    make(tmp_path)
    with pytest.raises(DataError, match=message):
        Pairs(list_pairs(tmp_path), TINY)


def test_config_round_trip_and_refusal() -> None:
    assert TrainConfig.from_json(TINY.to_json()) == TINY
    with pytest.raises(DataError, match="multiple of 8"):
        replace(TINY, crop=60)
    rates = [TINY.learning_rate_at(step / 6) for step in range(7)]
    assert rates[:4] == [TINY.learning_rate] * 4
    assert rates[-1] == 0


def test_export_without_recalibration_keeps_the_averages(pairs_folder: Path, tmp_path: Path) -> None:
    run = trainer(pairs_folder)
    run_to(run, tmp_path, until=2)
    averages = run.average.module.state_dict()["down.1.2.running_var"]
    assert torch.equal(run.exported(recalibrate=0).state_dict()["down.1.2.running_var"], averages)
    assert not torch.equal(run.exported(recalibrate=2).state_dict()["down.1.2.running_var"], averages)


@pytest.mark.parametrize("resize_convolution", [True, False])
def test_noise_added_to_a_model_leaves_it_as_it_is_and_is_trained(
    pairs_folder: Path, tmp_path: Path, resize_convolution: bool
) -> None:
    """The new bands have weights of nothing at first; then they get some, discriminator and all."""
    first = trainer(pairs_folder)
    export(first, tmp_path / "m.safetensors", name="m", zoom=17, ground_resolution=0.9)
    config = replace(TINY, noise=2, adversarial_from=0.0, lambda_features=1.0, resize_convolution=resize_convolution)
    noisy = trainer(pairs_folder, config)
    noisy.start_from(load_weights(tmp_path / "m.safetensors"))
    kernel = noisy.generator.down[0][0].weight
    assert kernel.shape[1] == 5
    assert not kernel[:, 3:].any()
    run_to(noisy, tmp_path / "run", until=4)
    assert kernel[:, 3:].abs().min() > 0
    card = export(noisy, tmp_path / "n.safetensors", name="n", zoom=17, ground_resolution=0.9)
    assert (card.noise, card.config["in_channels"]) == (2, 5)
    assert (
        load_engine(tmp_path / "n.safetensors", device="cpu").translate_pixels(np.zeros((1, 64, 64, 5), np.uint8)).any()
    )
    again = trainer(pairs_folder, config)
    again.load(tmp_path / "run" / "checkpoint.pt")


@pytest.mark.parametrize("resize_convolution", [True, False])
def test_starting_from_a_model_is_that_model(pairs_folder: Path, tmp_path: Path, resize_convolution: bool) -> None:
    """The kernels of the file are folded; unfolded and folded again they are the same, to half precision."""
    run = trainer(pairs_folder)
    run_to(run, tmp_path, until=2)
    export(run, tmp_path / "m.safetensors", name="m", zoom=17, ground_resolution=0.9)
    weights = load_weights(tmp_path / "m.safetensors")
    started = trainer(pairs_folder, replace(TINY, seed=9, resize_convolution=resize_convolution))
    started.start_from(weights)
    for name, tensor in started.exported(recalibrate=0).state_dict().items():
        torch.testing.assert_close(tensor.float(), weights[name].float(), rtol=0, atol=1e-4)
    with pytest.raises(DataError, match="another network than"):
        trainer(pairs_folder, replace(TINY, widths=(8, 8), residual_blocks=(0, 0))).start_from(weights)


def test_a_generator_with_a_legend_is_trained_by_its_scores(pairs_folder: Path, tmp_path: Path) -> None:
    """From a model without one; the card says what building it again needs, and its maps have the style's colours."""
    first = trainer(pairs_folder)
    export(first, tmp_path / "m.safetensors", name="m", zoom=17, ground_resolution=0.9)
    config = replace(TINY, legend=True, steps=40, adversarial_from=0.9, lambda_cross_entropy=3.0, learning_rate=3e-3)
    run = Trainer(Pairs(list_pairs(pairs_folder), config, MAPS_PALETTE))
    run.start_from(load_weights(tmp_path / "m.safetensors"))
    run_to(run, tmp_path / "run")
    assert run.generator.transposed()[0].out_channels == len(MAPS_PALETTE.entries)
    card = export(run, tmp_path / "n.safetensors", name="n", zoom=17, ground_resolution=0.9)
    assert card.config["legend"] == MAPS_PALETTE.colours.tolist()
    translated = load_engine(tmp_path / "n.safetensors", device="cpu").translate_pixels(
        np.random.default_rng(1).integers(0, 255, (1, 64, 64, 3), dtype=np.uint8)
    )
    colours = MAPS_PALETTE.colours
    assert (translated >= colours.min(0)).all()
    assert (translated <= colours.max(0)).all()


def test_a_legend_needs_a_palette(pairs_folder: Path) -> None:
    with pytest.raises(DataError, match="legend: the target pictures have no palette"):
        trainer(pairs_folder, replace(TINY, legend=True))
