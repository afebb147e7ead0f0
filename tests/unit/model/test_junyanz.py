"""Import: the same function as the reference implementation's, of the files it saves, and nothing else from a file."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from geo2map import grid
from geo2map.engine import load_engine
from geo2map.errors import ModelFileError, OutputError
from geo2map.families import build
from geo2map.families.unet.generator import UNetGenerator
from geo2map.grid import PixelWindow
from geo2map.grid.fill import FILL_RADIUS
from geo2map.model import import_model, load_card, load_weights
from geo2map.pipeline.run import run
from geo2map.plan import Plan, PlanOptions, choose_margin, choose_rendition
from geo2map.scene import View
from geo2map.testing import ArraySource, MemoryOutput
from geo2map.train.patchgan import PatchGAN

Make = Callable[..., nn.Module]
State = dict[str, Tensor]


def imported(state: object, folder: Path, **facts: Any) -> Path:
    torch.save(state, folder / "latest_net_G.pth")
    import_model(folder / "latest_net_G.pth", folder / "m.safetensors", **facts)
    return folder / "m.safetensors"


def generator(model: Path) -> UNetGenerator:
    card = load_card(model)
    network = build(card.architecture, **card.config).eval()
    network.load_state_dict(load_weights(model))
    return network


def assert_same(model: Path, pictures: Tensor, expected: Tensor) -> None:
    with torch.inference_mode():
        torch.testing.assert_close(generator(model)(pictures), expected, rtol=0, atol=1e-5)


# The same function


@pytest.mark.parametrize(("norm", "depth", "width"), [("batch", 5, 4), ("batch", 8, 2), ("instance", 5, 6)])
def test_the_reference_networks_own_output(
    reference_unet: Make, norm: str, depth: int, width: int, tmp_path: Path
) -> None:
    reference = reference_unet(norm, depth, width)
    model = imported(reference.state_dict(), tmp_path)
    pictures = torch.rand(2, 3, 256, 256) * 2 - 1
    with torch.inference_mode():
        expected = reference(pictures.clone())
    assert expected.std() > 0.05
    assert_same(model, pictures, expected)
    card = load_card(model)
    assert card.config == {"widths": [width * min(2**level, 8) for level in range(depth)], "norm": norm}


@pytest.mark.parametrize(
    ("file", "outputs"),
    [
        ("unet_256_ngf8_batch_net_G.pth", "unet_256_ngf8_batch_io.npz"),
        ("unet_256_ngf8_batch_old_net_G.pth", "unet_256_ngf8_batch_io.npz"),
        ("unet_256_ngf8_instance_net_G.pth", "unet_256_ngf8_instance_io.npz"),
    ],
)
def test_files_and_outputs_of_the_reference_implementation(
    file: str, outputs: str, shared: Path, tmp_path: Path
) -> None:
    import_model(shared / "reference" / file, tmp_path / "m.safetensors")
    known = np.load(shared / "reference" / outputs)
    assert_same(tmp_path / "m.safetensors", torch.from_numpy(known["x"]), torch.from_numpy(known["eval"]))


def ddp(state: State) -> State:
    return {f"module.{key}": tensor for key, tensor in state.items()}


def compiled_ddp(state: State) -> State:
    return {f"_orig_mod.module.{key}": tensor for key, tensor in state.items()}


def before_0_4(state: State) -> State:
    return {key: tensor for key, tensor in state.items() if not key.endswith("num_batches_tracked")}


def wrapped(state: State) -> dict[str, object]:
    return {"epoch": 200, "state_dict": state, "lr": [2e-4]}


@pytest.mark.parametrize("as_saved", [ddp, compiled_ddp, before_0_4, wrapped])
def test_files_as_people_have_them(reference_unet: Make, as_saved: Callable[[State], object], tmp_path: Path) -> None:
    state = reference_unet().state_dict()
    (tmp_path / "plain").mkdir()
    plain = load_weights(imported(dict(state), tmp_path / "plain"))
    found = load_weights(imported(as_saved(state), tmp_path))
    for key, tensor in plain.items():
        if not key.endswith("num_batches_tracked"):
            assert torch.equal(found[key], tensor)


def test_running_statistics_of_old_instance_norms_are_left_out(reference_unet: Make, tmp_path: Path) -> None:
    state = reference_unet("instance").state_dict()
    old = {"model.model.1.model.2.running_mean": torch.ones(8), "model.model.1.model.2.running_var": torch.ones(8)}
    assert load_card(imported(state | old, tmp_path)).config["norm"] == "instance"


def test_files_of_the_older_format(reference_unet: Make, tmp_path: Path) -> None:
    torch.save(reference_unet().state_dict(), tmp_path / "old.pth", _use_new_zipfile_serialization=False)
    import_model(tmp_path / "old.pth", tmp_path / "m.safetensors")
    assert generator(tmp_path / "m.safetensors").depth == 5


# The card


def test_the_card_of_batch_norm_is_exact_and_can_be_faithful(reference_unet: Make, tmp_path: Path) -> None:
    card = load_card(imported(reference_unet(depth=8, width=1).state_dict(), tmp_path))
    assert (card.name, card.exact, card.margin, card.size_multiple) == ("m", True, 512, 256)
    assert (card.zoom, card.ground_resolution, card.colours) == (16, 1.9, None)
    assert card.training["imported"] == "latest_net_G.pth"
    assert card.in_mode("faithful").margin == 0


def test_the_card_of_instance_norm_is_faithful(reference_unet: Make, tmp_path: Path) -> None:
    card = load_card(imported(reference_unet("instance").state_dict(), tmp_path, name="mine", licence="CC0-1.0"))
    assert (card.name, card.licence) == ("mine", "CC0-1.0")
    assert (card.exact, card.margin, card.size_multiple) == (False, 0, 256)


@pytest.mark.parametrize(
    ("zoom", "resolution", "expected"),
    [(17, None, (17, 0.95)), (None, 0.5, (18, 0.5)), (14, 7.0, (14, 7.0))],
)
def test_zoom_and_resolution_follow_from_each_other(
    reference_unet: Make, zoom: int | None, resolution: float | None, expected: tuple[int, float], tmp_path: Path
) -> None:
    card = load_card(imported(reference_unet().state_dict(), tmp_path, zoom=zoom, ground_resolution=resolution))
    assert (card.zoom, card.ground_resolution) == expected


def test_half_precision_is_a_choice(reference_unet: Make, tmp_path: Path) -> None:
    full = imported(reference_unet().state_dict(), tmp_path).stat().st_size
    half = imported(reference_unet().state_dict(), tmp_path, dtype="fp16", overwrite=True).stat().st_size
    assert half < 0.6 * full


# Tile by tile


def tiles_of(model: Path, span: int, batch: int) -> Mapping[Any, Any]:
    zoom, corner = 16, 40_000 * grid.TILE_SIZE
    window = PixelWindow(corner, corner, corner + 700, corner + 600)
    pixels = np.random.default_rng(0).integers(0, 256, (600, 700, 3), dtype=np.uint8)
    pixels[:300] //= 3
    mask = np.ones((600, 700), np.bool_)
    mask[250:300, 200:500] = False
    engine, options = load_engine(model, device="cpu", threads=1, batch=batch), PlanOptions()
    rendition, _ = choose_rendition(pixels.reshape(-1, 3), engine.card, options)
    margin, _ = choose_margin(engine.card, options.margin)
    view, neutral = View(zoom, rendition), engine.card.neutral
    plan = Plan(
        name="s", view=view, window=window, block_span=span, margin=margin, fill_radius=FILL_RADIUS, neutral=neutral
    )
    output = MemoryOutput(plan)
    run(ArraySource(window, pixels, mask), engine, output)
    return output.tiles


def test_faithful_output_depends_neither_on_block_span_nor_on_batch(reference_unet: Make, tmp_path: Path) -> None:
    model = imported(reference_unet("instance").state_dict(), tmp_path)
    expected = tiles_of(model, 1, 1)
    assert len(expected) == 9
    for span, batch in ((2, 1), (4, 1), (2, 4), (8, 4)):
        found = tiles_of(model, span, batch)
        assert found.keys() == expected.keys()
        for tile, (pixels, _) in found.items():
            most = 0 if batch == 1 else 1
            assert np.abs(pixels.astype(int) - expected[tile][0]).max() <= most


# Other networks


class WithAttention(nn.Module):
    def __init__(self, unet: nn.Module) -> None:
        super().__init__()
        self.model = unet.get_submodule("model")
        self.model.get_submodule("model.1").add_module("attention", nn.Conv2d(8, 8, 1))


class Residual(nn.Module):
    """The keys of the reference's resnet_6blocks, some of them."""

    def __init__(self) -> None:
        super().__init__()
        block = nn.Module()
        block.conv_block = nn.Sequential(nn.ReflectionPad2d(1), nn.Conv2d(4, 4, 3))
        self.model = nn.Sequential(nn.ReflectionPad2d(3), nn.Conv2d(3, 4, 7), block)


class Discriminator(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.model = nn.Sequential(nn.Conv2d(6, 8, 4), nn.LeakyReLU(), nn.Conv2d(8, 1, 4))


def without(state: State, part: str) -> State:
    return {key: tensor for key, tensor in state.items() if part not in key}


@pytest.mark.parametrize(
    ("make", "phrase"),
    [
        (lambda _: Residual().state_dict(), "a ResNet generator"),
        (lambda _: Discriminator().state_dict(), "a discriminator"),
        (lambda _: PatchGAN().state_dict(), "tensors of another network"),
        (lambda _: UNetGenerator((4,) * 5).state_dict(), r"another network \(the first is down.0.0.weight\)"),
        (lambda new: WithAttention(new()).state_dict(), r"another layer too \(model.model.1.attention.weight\)"),
        (lambda new: without(new().state_dict(), "running_mean"), "batch norm: the file has nothing at"),
        (lambda new: without(new().state_dict(), ".3.model.1.weight"), "another layer too"),
        (lambda new: without(new().state_dict(), "model.model.3.bias"), r"nothing at model\.model\.3\.bias"),
        (lambda new: new().state_dict() | {"model.model.0.weight": torch.ones(4, 1, 4, 4)}, r"RGB .* \(4, 1, 4, 4\)"),
        (lambda new: new("instance").state_dict() | {"model.model.1.model.2.weight": torch.ones(8)}, "where nothing"),
        (lambda new: new(depth=9, width=1).state_dict(), "more than 8 levels"),
        (lambda new: new().state_dict() | {"model.model.0.weight": torch.full((4, 3, 4, 4), torch.nan)}, "not finite"),
        (lambda _: {}, "but 0 tensors"),
        (lambda _: [torch.ones(2)], "but list"),
        (lambda _: {"netG": torch.ones(2), "epoch": 3}, "a dict of netG, epoch"),
    ],
)
def test_what_is_no_generator_is_refused_by_name(
    make: Callable[[Make], object], phrase: str, reference_unet: Make, tmp_path: Path
) -> None:
    with pytest.raises(ModelFileError, match=phrase) as caught:
        imported(make(reference_unet), tmp_path)
    assert "\n" not in str(caught.value)
    assert [path.name for path in tmp_path.iterdir()] == ["latest_net_G.pth"]


# Bad files


@pytest.mark.parametrize("zipped", [True, False])
def test_code_in_a_pickle_is_refused_and_not_run(zipped: bool, reference_unet: Make, tmp_path: Path) -> None:
    trap = tmp_path / "sprung"

    class Trap:
        def __reduce__(self) -> tuple[object, tuple[Path]]:
            return Path.touch, (trap,)

    state = reference_unet().state_dict() | {"trap": Trap()}
    torch.save(state, tmp_path / "bad.pth", _use_new_zipfile_serialization=zipped)
    with pytest.raises(ModelFileError, match=r"bad\.pth: .* code or objects \(\S+\) beside tensors.* never loaded"):
        import_model(tmp_path / "bad.pth", tmp_path / "m.safetensors")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bad.pth"]


def test_a_whole_pickled_network_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match=r"objects \(torch\.nn\..*Sequential\).* save net.state_dict\(\) alone"):
        imported(nn.Sequential(nn.Conv2d(3, 4, 4)), tmp_path)


def test_damaged_files(reference_unet: Make, tmp_path: Path) -> None:
    torch.save(reference_unet().state_dict(), tmp_path / "good.pth")
    good, bad = (tmp_path / "good.pth").read_bytes(), tmp_path / "bad.pth"
    for content in (b"", b"hello\n", b"PK\x03\x04", good[:1000], good[: len(good) // 2], good[:-1], b"\x80\x02." * 9):
        bad.write_bytes(content)
        with pytest.raises(ModelFileError, match=r"bad\.pth: ") as caught:
            import_model(bad, tmp_path / "m.safetensors")
        assert "\n" not in str(caught.value)
    for missing in (tmp_path / "none.pth", tmp_path):
        with pytest.raises(ModelFileError, match="cannot be read"):
            import_model(missing, tmp_path / "m.safetensors")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bad.pth", "good.pth"]


def test_an_existing_model_is_kept_unless_told(reference_unet: Make, tmp_path: Path) -> None:
    model = imported(reference_unet().state_dict(), tmp_path)
    before = model.read_bytes()
    with pytest.raises(OutputError, match="allow overwriting"):
        imported(reference_unet("instance").state_dict(), tmp_path)
    assert model.read_bytes() == before
    imported(reference_unet("instance").state_dict(), tmp_path, overwrite=True)
    assert load_card(model).config["norm"] == "instance"


def test_a_ground_resolution_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match="more than 0"):
        imported({}, tmp_path, ground_resolution=-1.0)
