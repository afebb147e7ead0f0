"""Pictures of pairs as people have them: other bit depths, palettes, clutter, links, lists from any editor."""

from __future__ import annotations

import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from geo2map.colour.colours import load_colours
from geo2map.colour.palette import load_palette
from geo2map.errors import DataError
from geo2map.train.pictures import has_places, list_pairs, list_places, list_splits, load_pair

COLOURS = np.random.default_rng(0).integers(0, 255, (8, 16, 3), dtype=np.uint8)


def save(path: Path, mode: str = "RGB", **options: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(COLOURS).convert(mode).save(path, **options)
    return path


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "LA", "1"])
def test_whatever_shows_the_same_colours_is_read(mode: str, tmp_path: Path) -> None:
    expected = np.asarray(Image.fromarray(COLOURS).convert(mode).convert("RGB"))
    a, b = load_pair(save(tmp_path / "a.png", mode))
    np.testing.assert_array_equal(np.hstack([a, b]), expected)


def test_a_palette_becomes_its_colours(tmp_path: Path) -> None:
    few = (COLOURS // 128) * 200
    Image.fromarray(few).quantize(8).save(tmp_path / "a.png")
    np.testing.assert_array_equal(np.hstack(load_pair(tmp_path / "a.png")), few)


def test_deep_and_transparent_pictures_are_refused(tmp_path: Path) -> None:
    Image.fromarray(np.full((8, 16), 300, np.uint16)).save(tmp_path / "grey.png")
    with pytest.raises(DataError, match=r"grey\.png has 16 bits a channel; save it with 8 bits"):
        load_pair(tmp_path / "grey.png")
    clear = np.dstack([COLOURS, np.full((8, 16), 255, np.uint8)])
    clear[0, 0, 3] = 0
    Image.fromarray(clear).save(tmp_path / "clear.png")
    save(tmp_path / "key.png", transparency=tuple(COLOURS[0, 0].tolist()))
    for name in ("clear", "key"):
        with pytest.raises(DataError, match=rf"{name}\.png has transparent pixels"):
            load_pair(tmp_path / f"{name}.png")


def test_deep_colours_are_refused(tmp_path: Path) -> None:
    import rasterio

    profile = {"driver": "PNG", "width": 16, "height": 8, "count": 3, "dtype": "uint16"}
    with rasterio.MemoryFile() as memory:
        with memory.open(**profile) as dataset:
            dataset.write(np.full((3, 8, 16), 300, np.uint16))
        (tmp_path / "deep.png").write_bytes(memory.read())
    with pytest.raises(DataError, match="has 16 bits a channel"):
        load_pair(tmp_path / "deep.png")


def test_a_page_that_is_called_a_picture(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_text("<html>404</html>")
    with pytest.raises(DataError, match="is not a readable picture"):
        load_pair(tmp_path / "a.jpg")


def test_clutter_is_passed_over(tmp_path: Path) -> None:
    for name in ("1.JPG", "2.png", "place/3.jpg"):
        save(tmp_path / name)
    for name in ("._1.jpg", ".hidden.png", "Thumbs.db", ".DS_Store", "desktop.ini"):
        (tmp_path / name).write_bytes(b"Mac OS X")
    (tmp_path / "folder.jpg").mkdir()
    assert [pair.name for pair in list_pairs(tmp_path)] == ["1.JPG", "2.png"]
    for name in (".git", "__MACOSX", "@eaDir"):
        save(tmp_path / "places" / name / "x.jpg")
    save(tmp_path / "places" / "paris" / "1.jpg")
    (tmp_path / "places" / "._1.jpg").touch()
    assert has_places(tmp_path / "places")
    assert list(list_places(tmp_path / "places")) == ["paris"]


def test_links_are_followed_and_broken_ones_named(tmp_path: Path) -> None:
    save(tmp_path / "elsewhere" / "a.jpg")
    (tmp_path / "pairs").mkdir()
    try:
        (tmp_path / "pairs" / "a.jpg").symlink_to(tmp_path / "elsewhere" / "a.jpg")
        assert len(list_pairs(tmp_path / "pairs")) == 1
        (tmp_path / "pairs" / "b.jpg").symlink_to(tmp_path / "gone.jpg")
    except OSError:
        pytest.skip("this system makes no links")
    with pytest.raises(DataError, match=r"b\.jpg is a link to a file that does not exist"):
        list_pairs(tmp_path / "pairs")


def test_two_partners_of_one_name_are_refused(tmp_path: Path) -> None:
    for name in ("A/1.jpg", "B/1.jpg", "B/1.png"):
        save(tmp_path / name)
    with pytest.raises(DataError, match="are two pictures of one name"):
        list_pairs(tmp_path)


@pytest.mark.parametrize("suffix", ["_valid.png", "_valid.PNG", "_VALID.PNG"])
def test_what_is_known_is_read_as_numbers(suffix: str, tmp_path: Path) -> None:
    save(tmp_path / "a.jpg")
    numbers = np.arange(64, dtype=np.uint8).reshape(8, 8) % 16
    picture = Image.fromarray(numbers, mode="L")
    picture.putpalette([200, 100, 50] * 256)
    picture.save(tmp_path / f"a{suffix}")
    (pair,) = list_pairs(tmp_path)
    np.testing.assert_array_equal(pair.load_label_mask(), numbers)


ENCODINGS = ["utf-8", "utf-8-sig", "utf-16", "utf-16-le"]


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_lists_of_names_from_any_editor(encoding: str, tmp_path: Path) -> None:
    for name in ("a b.jpg", "ä.jpg", "c.jpg"):
        save(tmp_path / "pairs" / name)
    (tmp_path / "aside.txt").write_bytes("a b.jpg\r\nä.jpg\r\n\r\n".encode(encoding))
    kept, aside = list_splits(tmp_path / "pairs", tmp_path / "aside.txt")
    assert [pair.name for pair in kept] == ["c.jpg"]
    assert {pair.name for pair in aside} == {"a b.jpg", "ä.jpg"}


def test_lists_of_names_that_cannot_be_read(tmp_path: Path) -> None:
    save(tmp_path / "pairs" / "a.jpg")
    with pytest.raises(DataError, match="list of names not found"):
        list_splits(tmp_path / "pairs", tmp_path / "aside.txt")
    (tmp_path / "aside.txt").write_bytes("ä.jpg\n".encode("latin-1"))
    with pytest.raises(DataError, match="cannot be read as text"):
        list_splits(tmp_path / "pairs", tmp_path / "aside.txt")


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_palettes_from_any_editor(encoding: str, tmp_path: Path) -> None:
    path = tmp_path / "palette.tsv"
    path.write_bytes("class\tred\tgreen\tblue\r\nland\t1\t2\t3\r\n".encode(encoding))
    assert load_palette(path).entries == (("land", (1, 2, 3)),)
    assert load_colours(path).tolist() == [[1, 2, 3]]
    path.write_bytes('["#010203"]'.encode(encoding))
    assert load_colours(path).tolist() == [[1, 2, 3]]


def test_a_palette_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="palette not found"):
        load_palette(tmp_path / "palette.tsv")


def test_a_line_of_several_names(tmp_path: Path) -> None:
    """A line is one name if there is such a picture, else several if there is each of them."""
    for name in ("1.jpg", "2.jpg", "3.jpg", "1.jpg 2.jpg", "x.jpg"):
        save(tmp_path / "pairs" / name)
    listed = tmp_path / "aside.txt"
    for text, names in (
        ("2.jpg 3.jpg\nx.jpg", {"2.jpg", "3.jpg", "x.jpg"}),
        ("1.jpg 2.jpg", {"1.jpg 2.jpg"}),
    ):
        listed.write_text(text)
        assert {pair.name for pair in list_splits(tmp_path / "pairs", listed)[1]} == names
    listed.write_text("1.jpg 9.jpg")
    with pytest.raises(DataError, match=r"1\.jpg 9\.jpg is not one of them"):
        list_splits(tmp_path / "pairs", listed)


def test_large_pictures_warn_in_no_thread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    save(tmp_path / "a.jpg")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        before = list(warnings.filters)
        with ThreadPoolExecutor(8) as pool:
            assert len(list(pool.map(load_pair, [tmp_path / "a.jpg"] * 200))) == 200
        assert list(warnings.filters) == before
