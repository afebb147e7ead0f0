"""The engine: rounding, batches, memory that runs out, and what it refuses."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from geo2map.engine import Engine, load_engine
from geo2map.engine import device as devices
from geo2map.errors import DeviceError, ModelFileError
from geo2map.families import build
from geo2map.families.unet.generator import UNetGenerator
from geo2map.model import find_model, load_weights
from geo2map.testing import make_card
from geo2map.types import Batch

CPU = torch.device("cpu")
CARD = make_card(ground_resolution=1.0, size_multiple=16)


def engine_of(generator: nn.Module, batch: int | None = None, dtype: torch.dtype = torch.float32) -> Engine:
    return Engine(generator, CARD, CPU, dtype, batch)


def noise(count: int, side: int = 16) -> np.ndarray:
    return np.random.default_rng(count).integers(0, 256, (count, side, side, 3), dtype=np.uint8)


class Function(nn.Module):
    """A generator made of one function."""

    def __init__(self, function: object) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x)  # type: ignore[no-any-return, operator]


class OnlyFits(nn.Module):
    """Negates; runs out of memory above some number of pictures."""

    def __init__(self, most: int) -> None:
        super().__init__()
        self.most, self.sizes = most, []  # type: ignore[var-annotated]

    def forward(self, x: Tensor) -> Tensor:
        self.sizes.append(len(x))
        if len(x) > self.most:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return -x


class Whole(nn.Module):
    """Takes the mean of the picture off, as networks do that look at whole pictures."""

    def forward(self, x: Tensor) -> Tensor:
        return x - x.mean(dim=(1, 2, 3), keepdim=True)


# Numbers


def test_every_grey_level_survives_the_identity() -> None:
    levels = np.arange(256, dtype=np.uint8).reshape(1, 16, 16, 1).repeat(3, axis=3)
    np.testing.assert_array_equal(engine_of(nn.Identity()).translate_pixels(levels), levels)


def test_the_network_sees_minus_one_to_one_in_rgb_planes() -> None:
    seen: list[Tensor] = []
    picture = np.zeros((1, 16, 32, 3), np.uint8)
    picture[..., 0], picture[..., 2] = 255, 51
    engine_of(Function(lambda x: seen.append(x.clone()) or x)).translate_pixels(picture)
    (x,) = seen
    assert x.shape == (1, 3, 16, 32)
    assert x.dtype == torch.float32
    torch.testing.assert_close(x[0].mean(dim=(1, 2)), torch.tensor([1.0, -1.0, -0.6]))


@pytest.mark.parametrize(
    ("value", "level"),
    [
        (-7.0, 0),
        (-1.0, 0),
        (-1 + 0.4 / 127.5, 0),
        (-1 + 0.6 / 127.5, 1),
        (1 - 0.6 / 127.5, 254),
        (1.0, 255),
        (9.0, 255),
    ],
)
def test_output_is_rounded_and_clamped(value: float, level: int) -> None:
    output = engine_of(Function(lambda x: torch.full_like(x, value))).translate_pixels(noise(1))
    assert (output == level).all()


def test_the_input_is_left_alone() -> None:
    batch = noise(2)
    before = batch.copy()
    engine_of(Function(lambda x: x.mul_(0))).translate_pixels(batch)
    np.testing.assert_array_equal(batch, before)


def test_views_and_odd_memory_orders_are_welcome() -> None:
    batch = noise(2, 32)
    cut = batch[:, 8:24, ::2][:, :, ::-1]
    np.testing.assert_array_equal(engine_of(nn.Identity()).translate_pixels(cut), cut)


def test_half_precision_is_used_and_comes_back_as_uint8() -> None:
    seen: list[torch.dtype] = []
    output = engine_of(Function(lambda x: seen.append(x.dtype) or x), dtype=torch.bfloat16).translate_pixels(noise(1))
    assert seen == [torch.bfloat16]
    assert output.dtype == np.uint8
    assert np.abs(output.astype(int) - noise(1)).max() <= 1


# Batches and memory


@pytest.mark.parametrize("batch", [1, 2, 3, 7, 100])
def test_any_number_of_pictures_in_order(batch: int) -> None:
    network = OnlyFits(100)
    output = engine_of(network, batch).translate_pixels(noise(7))
    np.testing.assert_array_equal(output, 255 - noise(7))
    assert max(network.sizes) == min(batch, 7)


def test_running_out_of_memory_halves_the_batch_for_good() -> None:
    network = OnlyFits(2)
    engine = engine_of(network, 8)
    np.testing.assert_array_equal(engine.translate_pixels(noise(8)), 255 - noise(8))
    assert network.sizes == [8, 4, 2, 2, 2, 2]
    assert engine.batch == 2
    network.sizes.clear()
    engine.translate_pixels(noise(3))
    assert network.sizes == [2, 1]


def test_what_was_done_before_is_not_done_again() -> None:
    network = OnlyFits(100)
    engine = engine_of(network, 4)

    def forward(x: Tensor) -> Tensor:
        network.most = 1 if len(network.sizes) == 1 else network.most
        return OnlyFits.forward(network, x)

    network.forward = forward  # type: ignore[method-assign]
    np.testing.assert_array_equal(engine.translate_pixels(noise(8)), 255 - noise(8))
    assert network.sizes == [4, 4, 2, 1, 1, 1, 1]


def test_not_even_one_picture_fits() -> None:
    with pytest.raises(DeviceError, match=r"16 x 16 px; use smaller blocks") as caught:
        engine_of(OnlyFits(0), 4).translate_pixels(noise(4))
    assert isinstance(caught.value.__cause__, torch.OutOfMemoryError)


def test_running_out_of_main_memory_counts_as_well() -> None:
    def greedy(x: Tensor) -> Tensor:
        return torch.empty(2**60, dtype=torch.uint8) if len(x) > 1 else x

    engine = engine_of(Function(greedy), 2)
    np.testing.assert_array_equal(engine.translate_pixels(noise(2)), noise(2))
    assert engine.batch == 1


def test_other_errors_are_not_hidden() -> None:
    engine = engine_of(UNetGenerator((4,) * 4), 2)
    with pytest.raises(ValueError, match="multiples of 16"):
        engine.translate_pixels(noise(2, 24))
    assert engine.batch == 2


def test_the_network_does_not_learn_or_drop_anything() -> None:
    """BatchNorm and dropout in training mode would make pictures depend on their mates and on chance."""
    network = UNetGenerator((8,) * 4, dropout=(2, 3)).train()
    for parameter in network.parameters():
        if parameter.ndim == 4:
            parameter.data.normal_(0, 0.3)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    engine = engine_of(network, 4)
    alone = np.concatenate([engine.translate_pixels(picture[None]) for picture in noise(4, 64)])
    assert alone.std() > 20
    assert np.abs(engine.translate_pixels(noise(4, 64)).astype(int) - alone).max() <= 1
    np.testing.assert_array_equal(engine.translate_pixels(noise(4, 64)[:1]), alone[:1])
    for name, value in network.state_dict().items():
        torch.testing.assert_close(value, before[name], rtol=0, atol=0)


# Margins and streams


@pytest.mark.parametrize("mode", ["exact", "faithful"])
def test_a_margin_is_cut_off(mode: str) -> None:
    pictures = np.random.default_rng(0).integers(0, 256, (2, 512, 768, 3), dtype=np.uint8)
    for network in (Whole(), UNetGenerator((4, 4, 4, 4))):
        card = CARD if mode == "exact" else CARD.in_mode("faithful")
        engine = Engine(network, card, CPU, torch.float32)
        output = engine.translate_pixels(pictures, 100)
        assert output.shape == (2, 312, 568, 3)
        whole = engine.translate_pixels(pictures)[:, 100:-100, 100:-100]
        assert np.abs(output.astype(int) - whole).max() <= 1


@pytest.mark.parametrize("strip", [None, 16, 64])
def test_strips_change_at_most_one_level(engine: Engine, monkeypatch: pytest.MonkeyPatch, strip: int | None) -> None:
    """Here nothing from 64 rows on; in shorter strips a convolution may sum in another order."""
    pictures = noise(1, 576)
    expected = engine.translate_pixels(pictures, engine.card.margin)
    monkeypatch.setattr(engine._runner, "strip", strip)
    differences = np.abs(engine.translate_pixels(pictures, engine.card.margin).astype(int) - expected)
    assert differences.max() <= 1
    assert (differences > 0).mean() < 1e-4


def test_the_folded_network_differs_by_at_most_one_level(engine: Engine) -> None:
    path = find_model("sat2map")
    network = build(engine.card.architecture, **engine.card.config).eval()
    network.load_state_dict(load_weights(path))
    pictures = noise(1, 576)
    with torch.inference_mode():
        output = network(torch.from_numpy(pictures).permute(0, 3, 1, 2) / 127.5 - 1)
    margin = engine.card.margin
    levels = ((output + 1) * 127.5).round().clamp(0, 255).permute(0, 2, 3, 1)[:, margin:-margin, margin:-margin]
    differences = np.abs(engine.translate_pixels(pictures, margin).astype(int) - levels.numpy().astype(int))
    assert differences.max() <= 1
    assert (differences > 0).mean() < 1e-3


def test_batches_may_be_begun_before_the_first_is_waited_for() -> None:
    engine = engine_of(OnlyFits(2), 4)
    begun = [engine.begin_pixels(noise(count)) for count in (1, 3, 2, 4)]
    for wait, count in zip(begun, (1, 3, 2, 4), strict=True):
        np.testing.assert_array_equal(wait(), 255 - noise(count))
    assert engine.batch == 2
    assert engine.ahead == 0  # on a CPU nothing goes on meanwhile


# Tile by tile


@pytest.mark.parametrize("batch", [1, 2, 5])
def test_a_card_that_is_not_exact_is_run_tile_by_tile(batch: int) -> None:
    pictures = np.random.default_rng(0).integers(0, 256, (2, 512, 768, 3), dtype=np.uint8)
    pictures[:, :256, :256] //= 2
    engine = Engine(Whole(), CARD.in_mode("faithful"), CPU, torch.float32, batch)
    output = engine.translate_pixels(pictures)
    for top in (0, 256):
        for left in (0, 256, 512):
            tile = np.s_[:, top : top + 256, left : left + 256]
            np.testing.assert_array_equal(output[tile], engine.translate_pixels(pictures[tile]))
    assert (output != engine_of(Whole()).translate_pixels(pictures)).mean() > 0.5


@pytest.mark.parametrize("threads", [1, 2])
def test_tiles_go_in_calls_of_one_size(monkeypatch: pytest.MonkeyPatch, threads: int) -> None:
    """So a tile does not depend on how many others there are, and the innermost weights are read once for eight."""
    torch.manual_seed(3)
    engine = Engine(UNetGenerator((4, 6, 8)).eval(), CARD.in_mode("faithful"), CPU, torch.float32, 2, threads)
    sizes, folded = [], engine._run

    def counted(pixels: torch.Tensor, margin: int) -> torch.Tensor:
        sizes.append(len(pixels))
        return folded(pixels, margin)

    monkeypatch.setattr(engine, "_run", counted)
    pictures = np.random.default_rng(0).integers(0, 256, (3, 768, 768, 3), dtype=np.uint8)
    output = engine.translate_pixels(pictures)
    assert sizes == [8] * 4
    for top in (0, 256, 512):
        tile = np.s_[2:, top : top + 256, 256:512]
        np.testing.assert_array_equal(output[tile], engine.translate_pixels(pictures[tile]))


def test_tiles_of_one_colour_are_translated_once(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(3)
    engine = Engine(UNetGenerator((4, 6, 8)).eval(), CARD.in_mode("faithful"), CPU, torch.float32)
    pictures = np.random.default_rng(0).integers(0, 256, (2, 512, 1024, 3), dtype=np.uint8)
    one_by_one = np.concatenate([engine.translate_pixels(tile) for tile in tiles_of(pictures)])
    np.testing.assert_array_equal(np.concatenate(list(tiles_of(engine.translate_pixels(pictures)))), one_by_one)
    for number, tile in enumerate(tiles_of(pictures)):
        if number % 3:
            tile[:] = (90, 80, 70) if number % 2 else (7, 8, 9)
    one_by_one = np.concatenate([engine.translate_pixels(tile) for tile in tiles_of(pictures)])
    started, start = [], engine._start
    monkeypatch.setattr(engine, "_start", lambda batch, *rest: started.append(len(batch)) or start(batch, *rest))
    np.testing.assert_array_equal(np.concatenate(list(tiles_of(engine.translate_pixels(pictures)))), one_by_one)
    assert started == [6 + 2]


def tiles_of(pictures: Batch) -> Iterator[Batch]:
    """Each tile of each picture, (1, 256, 256, 3), a view."""
    for number in range(len(pictures)):
        for top in range(0, pictures.shape[1], 256):
            for left in range(0, pictures.shape[2], 256):
                yield pictures[number : number + 1, top : top + 256, left : left + 256]


def test_the_mode_is_chosen_when_loading() -> None:
    assert load_engine("sat2map", device="cpu", mode="exact").card.exact
    card = load_engine("sat2map", device="cpu", mode="faithful").card
    assert (card.exact, card.margin, card.size_multiple) == (False, 0, 256)


# Devices


@pytest.mark.parametrize("name", ["abacus", "cuda:", "cuda:-1", "", "meta", "xpu"])
def test_devices_that_are_none(name: str) -> None:
    with pytest.raises(DeviceError, match=r"cuda:N or mps|CUDA devices"):
        devices.choose_device(name)


def test_devices_that_are_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert devices.choose_device("cuda:1") == torch.device("cuda:1")
    with pytest.raises(DeviceError, match="finds 2 CUDA devices"):
        devices.choose_device("cuda:9")


def test_auto_takes_the_fastest_there_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    assert devices.choose_device("auto") == CPU
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert devices.choose_device("auto").type == "mps"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert devices.choose_device("auto").type == "cuda"


def test_precision() -> None:
    assert devices.choose_dtype("auto", CPU) == torch.float32
    assert devices.choose_dtype("auto", torch.device("cuda")) == torch.float32
    assert devices.choose_dtype("bf16", CPU) == torch.bfloat16
    assert devices.choose_dtype("fp16", torch.device("cuda")) == torch.float16
    with pytest.raises(DeviceError, match="fp32 or bf16"):
        devices.choose_dtype("fp16", CPU)


def test_loading() -> None:
    threads = torch.get_num_threads()
    engine = load_engine("sat2map", device="cpu", precision="bf16", threads=threads + 1, batch=5)
    assert (engine.card.name, engine.batch, engine.dtype) == ("sat2map", 5, torch.bfloat16)
    assert engine.threads == threads + 1
    assert torch.get_num_threads() == threads
    assert load_engine(find_model("sat2map"), device="cpu", threads=1).batch == 1
    assert load_engine(find_model("sat2map"), device="cpu", threads=3).batch == 2


def test_threads_are_the_engines_own_business() -> None:
    """What the process had set is there again afterwards, also after an error."""
    seen, before = [], torch.get_num_threads()

    def spy(x: Tensor) -> Tensor:
        seen.append(torch.get_num_threads())
        if len(seen) == 3:
            raise ValueError("stop")
        return x

    Engine(Function(spy), CARD, CPU, torch.float32).translate_pixels(noise(1))
    engine = Engine(Function(spy), CARD, CPU, torch.float32, threads=before + 1)
    engine.translate_pixels(noise(1))
    with pytest.raises(ValueError, match="stop"):
        engine.translate_pixels(noise(1))
    assert seen == [before, before + 1, before + 1]
    assert torch.get_num_threads() == before


def test_a_closed_engine_has_no_threads() -> None:
    before = threading.active_count()
    with load_engine("sat2map", device="cpu", threads=2) as engine:
        engine.translate_pixels(noise(2, 384), 160)
        assert threading.active_count() == before + 1
    assert threading.active_count() == before
    engine.close()


def test_a_model_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match="sat2map"):
        load_engine(tmp_path / "no.safetensors")


@pytest.mark.parametrize("threads", [None, 1, 2, 5])
def test_pictures_side_by_side_are_those_one_after_the_other(threads: int | None) -> None:
    """Whatever the batch and the threads, and what the process had set is there again."""
    torch.manual_seed(2)
    network, before = UNetGenerator((6, 8, 8), (0, 1, 0)).eval(), torch.get_num_threads()
    pictures = noise(5, 64)
    expected = Engine(network, CARD, CPU, torch.float32, 1, 1).translate_pixels(pictures, 16)
    found = Engine(network, CARD, CPU, torch.float32, 3, threads).translate_pixels(pictures, 16)
    np.testing.assert_array_equal(found, expected)
    assert torch.get_num_threads() == before


def test_loading_a_model_leaves_torchs_compiler_alone() -> None:
    """It would cost 1.5 s and 70 MiB of each command."""
    code = (
        "import sys; from geo2map.engine import load_engine; from geo2map.model import registry;"
        "[load_engine(name, device='cpu') for name in registry.packaged_models()];"
        "print(sorted(name for name in ('sympy', 'torch._dynamo') if name in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout == "[]\n", done.stderr
