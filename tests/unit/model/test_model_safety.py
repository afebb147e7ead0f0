"""Model files from strangers: whatever they claim, one sentence and no memory."""

from __future__ import annotations

import json
import re
import tracemalloc
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from geo2map.errors import ModelFileError
from geo2map.families import build
from geo2map.model import ModelCard, ModelDescription, load_card, load_weights, replace_card, save_model
from geo2map.model.file import KEY
from geo2map.model.header import LARGEST_HEADER, HeaderError, read_header
from geo2map.testing import make_card

CONFIG = {"widths": [4, 8]}
CARD = make_card(config=CONFIG, margin=8, size_multiple=4)
Forge = Callable[..., Path]


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("sound") / "sound.safetensors"
    save_model(path, build("unet", **CONFIG).state_dict(), CARD)
    return path


def taken_apart(path: Path) -> tuple[dict[str, Any], bytes]:
    """Header and tensors of a file."""
    content = path.read_bytes()
    length = int.from_bytes(content[:8], "little")
    return json.loads(content[8 : 8 + length]), content[8 + length :]


def put_together(path: Path, header: object, tensors: bytes = b"", length: int | None = None) -> Path:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes((len(text) if length is None else length).to_bytes(8, "little") + text + tensors)
    return path


def refuse(path: Path, phrase: str | None = None) -> None:
    """Every way to read the file ends in one sentence, and takes next to no memory."""
    for read in (load_card, load_weights, ModelDescription.of, lambda path: replace_card(path, CARD)):
        tracemalloc.start()
        with pytest.raises(ModelFileError, match=phrase) as found:
            read(path)
        assert tracemalloc.get_traced_memory()[1] < 64 * 2**20
        tracemalloc.stop()
        assert "\n" not in str(found.value)
        assert len(str(found.value)) < 700


def claim(name: str, **changes: Any) -> Callable[[dict[str, Any]], None]:
    return lambda header: header[name].update(changes)


WEIGHT = "down.0.0.weight"


@pytest.mark.parametrize(
    ("forge", "phrase"),
    [
        (claim(WEIGHT, shape=[2**20, 2**20, 2**20]), "needs 2,305,843,009,213,693,952 bytes by its shape"),
        (claim(WEIGHT, shape=[4, 3, 4, 4], data_offsets=[0, 2**45]), "needs 384 bytes by its shape"),
        (claim(WEIGHT, shape=[2**44], data_offsets=[0, 2**45]), "overlaps|leaves a gap|its tensors need"),
        (claim(WEIGHT, shape=[-4, 3, 4, 4]), "not whole numbers from 0 on"),
        (claim(WEIGHT, shape=[True]), "not whole numbers from 0 on"),
        (claim(WEIGHT, shape=[2**70]), "not whole numbers from 0 on"),
        (claim(WEIGHT, shape="4"), "not whole numbers from 0 on"),
        (claim(WEIGHT, data_offsets=[-384, 0]), "not whole numbers from 0 on"),
        (claim(WEIGHT, data_offsets=[384, 0]), "bytes by its shape"),
        (claim(WEIGHT, data_offsets=[4, 388]), "overlaps|leaves a gap"),
        (claim(WEIGHT, data_offsets=[0]), "not whole numbers from 0 on"),
        (claim(WEIGHT, dtype="F7"), "of an unknown type"),
        (claim(WEIGHT, dtype=["F16"]), "of an unknown type"),
        (claim(WEIGHT, surprise=1), "does not describe tensor"),
        (lambda header: header.update({"more": 5}), "does not describe tensor"),
        (lambda header: header.update({"__metadata__": {KEY: 5}}), "are not texts"),
        (lambda header: header.pop(WEIGHT), "leaves a gap"),
    ],
)
def test_headers_that_lie(forge: Callable[[dict[str, Any]], None], phrase: str, sound: Path, tmp_path: Path) -> None:
    header, tensors = taken_apart(sound)
    forge(header)
    refuse(put_together(tmp_path / "bad.safetensors", header, tensors), phrase)


@pytest.mark.parametrize(
    ("header", "length", "phrase"),
    [
        (b"{}", 2**60, "claims 1,152,921,504,606,846,976 bytes, but the file has 10"),
        (b"{}", 3, "claims 3 bytes"),
        (b" " * (LARGEST_HEADER + 1), None, "more than the 1,048,576 that are read"),
        (b"[" * LARGEST_HEADER, None, "not JSON"),
        (b"\xff\xfe", None, "not JSON"),
        (b"[]", None, "not a JSON object"),
        (b'{"a": 1, "a": 2}', None, "comes twice"),
        (json.dumps({f"w{i}": {} for i in range(10_001)}).encode(), None, "names 10,001 tensors"),
    ],
)
def test_headers_that_are_none(header: bytes, length: int | None, phrase: str, tmp_path: Path) -> None:
    refuse(put_together(tmp_path / "bad.safetensors", header, length=length), phrase)


@pytest.mark.parametrize(
    ("config", "phrase"),
    [
        ({"widths": [60_000] * 8}, "weight down.0.0.weight is 4 x 3 x 4 x 4, the network's is 60000 x 3 x 4 x 4"),
        ({"widths": [4, 8], "residual_blocks": [40, 40]}, "residual_blocks adds up to more than 64"),
        ({"widths": [4, 8], "residual_blocks": [10**9, 0]}, "residual_blocks 1000000000 is not between 0 and 64"),
        ({"widths": [10**30]}, "widths 1000000000000000000000000000000 is not between"),
        ({"widths": [4] * 1000}, "widths has 1000 values"),
        ({"widths": [[4]]}, "widths holds a list"),
        ({"widths": [4.5, 8]}, "cannot be built"),
        ({"widths": [0, 0]}, "widths 0 is not between 1 and 65536"),
        ({"widths": []}, "cannot be built|is missing|not part of"),
        ({"widths": ["a", "b"]}, "cannot be built"),
        ({"widths": None}, "cannot be built"),
        ({"heads": 8}, "cannot be built"),
        ({"widths": [4, 8], "norm": "instance"}, "not part of the network|is missing"),
        ({"widths": [8, 4]}, "the network's is"),
        ({"widths": [4, 8], "crispen": 3}, "cannot be built"),
        ({"widths": [4, 8], "crispen": {"colours": [[1, 2, 3]] * 33}}, "1 to 32 colours"),
        ({"widths": [4, 8], "crispen": {"colours": [[1, 2, 3]], "sharpen": 1, "sigma": 1e9}}, "at most 8"),
        ({"widths": [4, 8], "crispen": {"colours": [["a", 2, 3]]}}, "cannot be built"),
        ({"widths": [4, 8], "crispen": {"colours": [[1, 2, 3]], "commit": "x"}}, "cannot be built"),
    ],
)
def test_cards_that_ask_for_another_network(config: dict[str, Any], phrase: str, sound: Path, tmp_path: Path) -> None:
    header, tensors = taken_apart(sound)
    header["__metadata__"][KEY] = replace(CARD, config=config).to_json()
    path = put_together(tmp_path / "bad.safetensors", header, tensors)
    tracemalloc.start()
    with pytest.raises(ModelFileError, match="do not fit its card") as found:
        load_weights(path)
    assert tracemalloc.get_traced_memory()[1] < 128 * 2**20
    tracemalloc.stop()
    assert re.search(phrase, str(found.value))


def test_an_unknown_architecture_and_wrong_types_are_named(sound: Path, tmp_path: Path) -> None:
    header, tensors = taken_apart(sound)
    header["__metadata__"][KEY] = replace(CARD, architecture="os.system").to_json()
    path = put_together(tmp_path / "bad.safetensors", header, tensors)
    with pytest.raises(ModelFileError, match=r"architecture 'os\.system' is not one of"):
        load_weights(path)
    header, tensors = taken_apart(sound)
    header[WEIGHT]["dtype"] = "I16"
    with pytest.raises(ModelFileError, match=r"weight down\.0\.0\.weight is of type I16"):
        load_weights(put_together(path, header, tensors))


def test_the_engine_checks_before_it_builds(sound: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from geo2map.engine import load_engine, network

    def fail(*_: object, **__: object) -> None:
        raise AssertionError("a network was built")

    header, tensors = taken_apart(sound)
    header["__metadata__"][KEY] = replace(CARD, config={"widths": [60_000] * 8}).to_json()
    path = put_together(tmp_path / "bad.safetensors", header, tensors)
    monkeypatch.setattr(network, "build", fail)
    with pytest.raises(ModelFileError, match="do not fit its card"):
        load_engine(path)


@pytest.mark.parametrize(
    "changes",
    [
        {"margin": 10**12},
        {"margin": 1.5},
        {"size_multiple": 2**40},
        {"zoom": 99},
        {"zoom": "17"},
        {"ground_resolution": float("nan")},
        {"ground_resolution": float("inf")},
        {"ground_resolution": "1"},
        {"config": ["widths"]},
        {"name": 5},
        {"bands": 5},
        {"colours": [[float("nan")] * 35] * 3},
        {"colours": [["a"] * 35] * 3},
        {"palette": [["land", [1, 2]]]},
        {"palette": [["land", [1, 2, 999]]]},
        {"palette": 7},
        {"format": None},
    ],
)
def test_cards_whose_numbers_cannot_be(changes: dict[str, Any]) -> None:
    with pytest.raises(ModelFileError, match="get the model file again"):
        ModelCard.from_json(json.dumps(json.loads(CARD.to_json()) | changes))


def test_a_card_may_be_nested_as_deep_as_it_likes() -> None:
    for text in ('"text"', "5", "null", "[" * 100_000, '{"a":' * 100_000):
        with pytest.raises(ModelFileError, match="cannot be read"):
            ModelCard.from_json(text)


def test_a_pth_file_cannot_claim_more_than_it_holds(tmp_path: Path) -> None:
    from geo2map.model import import_model

    path = tmp_path / "latest_net_G.pth"
    torch.save({"model.model.0.weight": torch.zeros(1).expand(2**40)}, path)
    with pytest.raises(ModelFileError, match="claims more numbers than it holds"):
        import_model(path, tmp_path / "m.safetensors")


# Whatever else

NUMBERS = st.one_of(st.integers(), st.sampled_from([0, 1, 384, 2**31, 2**63, 2**64, -1]))
JSON = st.recursive(
    st.none() | st.booleans() | NUMBERS | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
ENTRIES = st.fixed_dictionaries(
    {
        "dtype": st.sampled_from(["F16", "F32", "I64", "U8", "BOOL", ""]) | JSON,
        "shape": st.lists(NUMBERS, max_size=4) | JSON,
        "data_offsets": st.lists(NUMBERS, min_size=2, max_size=2) | JSON,
    }
)


@given(header=st.dictionaries(st.text(max_size=8), ENTRIES | JSON, max_size=4) | JSON, tail=st.binary(max_size=64))
def test_any_header_is_sound_or_refused(header: Any, tail: bytes, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = put_together(tmp_path_factory.getbasetemp() / "any.safetensors", header, tail)
    try:
        found = read_header(path)
    except HeaderError:
        refuse(path)
        return
    assert sum(entry.end - entry.begin for entry in found.tensors.values()) == len(tail)


@given(content=st.binary(max_size=200))
def test_any_bytes_are_refused(content: bytes, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.getbasetemp() / "bytes.safetensors"
    path.write_bytes(content)
    with pytest.raises(ModelFileError):
        load_weights(path)


@given(name=st.sampled_from(sorted(json.loads(CARD.to_json()))), value=JSON)
def test_any_value_in_a_card_is_taken_or_refused(name: str, value: Any, sound: Path) -> None:
    header, tensors = taken_apart(sound)
    header["__metadata__"][KEY] = json.dumps(json.loads(CARD.to_json()) | {name: value})
    path = put_together(sound.with_name("any.safetensors"), header, tensors)
    try:
        card = load_card(path)
    except ModelFileError:
        with pytest.raises(ModelFileError):
            load_weights(path)
        return
    assert ModelCard.from_json(card.to_json()) == card
    with suppress(ModelFileError):
        load_weights(path)
