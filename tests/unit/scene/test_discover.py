"""What paths, folders and patterns stand for, and what may be shown of an address."""

from __future__ import annotations

import os
from pathlib import Path
from time import process_time

import numpy as np
import pytest
import rasterio
import rasterio.shutil
from affine import Affine

from geo2map.api import render_each
from geo2map.errors import SceneError
from geo2map.files.address import gdal_path, is_file_path, is_remote, redact, scene_name
from geo2map.scene.discover import find_imagery, find_scenes, mosaic_name


@pytest.fixture
def sheets(tmp_path: Path) -> Path:
    """A folder as users have them: sheets, sidecars, notes."""
    folder = tmp_path / "sheets"
    (folder / "below").mkdir(parents=True)
    for name in ("s10.tif", "s2.tif", "s1.TIF", "s1.tfw", "s2.tif.msk", "s2.tif.aux.xml", "notes.txt", "._s1.tif"):
        (folder / name).touch()
    for name in ("scan.png", "scan.pgw", "photo.jpg", "map.vrt", "below/s3.tif"):
        (folder / name).touch()
    return folder


def names(found: list[str]) -> list[str]:
    return [Path(path).name for path in found]


def test_a_folder_stands_for_its_rasters_in_natural_order(sheets: Path) -> None:
    assert names(find_scenes([sheets])) == ["map.vrt", "s1.TIF", "s2.tif", "s10.tif", "scan.png"]


def test_a_pattern_stands_for_the_rasters_it_matches(sheets: Path) -> None:
    assert names(find_scenes([f"{sheets}/s*"])) == ["s1.TIF", "s2.tif", "s10.tif", "scan.png"]
    assert names(find_scenes([f"{sheets}/**/*.tif"])) == ["s3.tif", "s2.tif", "s10.tif"]
    assert names(find_scenes([f"{sheets}/*.txt"])) == ["notes.txt"]


def test_a_file_whose_name_looks_like_a_pattern_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "a[1].tif").touch()
    assert find_scenes([tmp_path / "a[1].tif"]) == [str(tmp_path / "a[1].tif")]


def test_the_order_is_as_given_and_each_comes_once(sheets: Path) -> None:
    found = find_scenes([sheets / "s2.tif", "https://host/x.tif?key=*", sheets])
    assert names(found)[:3] == ["s2.tif", "x.tif?key=*", "map.vrt"]
    assert len(found) == 6


@pytest.mark.parametrize(
    ("asked", "says"),
    [(["empty"], "no raster in folder empty"), (["empty/*.tif"], "no file matches"), ([], "no scene given")],
)
def test_nothing_found_is_an_error(
    asked: list[str], says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("empty").mkdir()
    with pytest.raises(SceneError, match=says):
        find_scenes(asked)


def test_a_file_that_is_not_there_is_left_to_whoever_opens_it() -> None:
    assert find_scenes(["nowhere.tif"]) == ["nowhere.tif"]


def test_many_are_called_as_their_folder_or_as_the_first(sheets: Path) -> None:
    def name(*asked: object) -> str:
        return mosaic_name(asked, find_scenes(asked))  # type: ignore[arg-type]

    assert name(sheets) == name(f"{sheets}/*.tif") == name(f"{sheets}{os.sep}") == "sheets"
    assert name(sheets / "s10.tif", sheets / "s2.tif") == name(sheets / "s10.tif") == "s10"


@pytest.mark.parametrize(
    ("path", "gdal", "remote", "name"),
    [
        ("a/b.tif", "a/b.tif", False, "b"),
        ("C:\\a\\b.tif", "C:\\a\\b.tif", False, None),
        ("C:/a/b.tif", "C:/a/b.tif", False, "b"),
        ("https://host/x/b.tif?sig=1&t=a/c.tif", "/vsicurl/https://host/x/b.tif?sig=1&t=a/c.tif", True, "b"),
        ("https://host/b%20c.tif", "/vsicurl/https://host/b%20c.tif", True, "b c"),
        ("s3://bucket/x/b.tif", "/vsis3/bucket/x/b.tif", True, "b"),
        ("gs://bucket/b.tif", "/vsigs/bucket/b.tif", True, "b"),
        ("/vsizip/a.zip/b.tif", "/vsizip/a.zip/b.tif", False, "b"),
        ("/vsizip//vsicurl/https://host/a.zip/b.tif", "/vsizip//vsicurl/https://host/a.zip/b.tif", True, "b"),
        ("/vsicurl?empty_dir=yes&url=http%3A%2F%2Fh%2Fb.tif",) * 2 + (True, "b"),
        ("zip://a.zip!b.tif", "zip://a.zip!b.tif", False, None),
    ],
)
def test_addresses(path: str, gdal: str, remote: bool, name: str | None) -> None:
    assert gdal_path(path) == gdal
    assert is_remote(path) == is_remote(gdal) == remote
    assert is_file_path(path) == path.startswith(("a/", "C:"))
    assert name is None or scene_name(path) == name


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("https://user:secret@host/b.tif?X-Amz-Signature=secret&b=1", "https://host/b.tif"),
        ("'/vsicurl/https://host/b.tif?token=secret' not recognized", "'/vsicurl/https://host/b.tif' not recognized"),
        ("b.tif?token=secret, band 1: read error", "b.tif, band 1: read error"),
        ("/vsicurl?url=http%3A%2F%2Fh%2Fb.tif%3Ftoken%3Dsecret", "/vsicurl"),
        ("what?/b.tif", "what?/b.tif"),
    ],
)
def test_secrets_are_not_shown(text: str, seen: str) -> None:
    assert redact(text) == seen


# What geo2map made is not imagery


@pytest.fixture
def with_maps(tmp_path: Path) -> Path:
    """Two sheets, a map by its tags, one by its journal, and another program's raster."""
    folder = tmp_path / "with maps"
    folder.mkdir()
    place = {"crs": "EPSG:3857", "transform": Affine(1, 0, 5, 0, -1, 5)}
    for name in ("a.tif", "b.tif", "map.tif", "kept.tif", "big.tif", "other.tif"):
        kind = {"BIGTIFF": "YES"} if name == "big.tif" else {}
        with rasterio.open(folder / name, "w", "GTiff", 4, 4, 1, dtype="uint8", **place, **kind) as dataset:
            dataset.write(np.ones((1, 4, 4), np.uint8))
            if name in ("map.tif", "big.tif"):
                dataset.update_tags(TIFFTAG_SOFTWARE="geo2map", GEO2MAP="{}")
            if name == "other.tif":
                dataset.update_tags(TIFFTAG_SOFTWARE="geo2map", NOTE="made of GEO2MAP tiles")
    (folder / ".kept.tif.journal").touch()
    return folder


def test_own_outputs_are_passed_over_with_a_note(with_maps: Path) -> None:
    for asked in (with_maps, f"{with_maps}/*.tif"):
        scenes, (note,) = find_imagery(asked)
        assert names(scenes) == ["a.tif", "b.tif", "other.tif"]
        assert note.endswith(": made by geo2map, skipped; name one to use it as a scene")
        assert all(name in note for name in ("map.tif", "kept.tif", "big.tif"))
    assert find_scenes(with_maps) == find_imagery(with_maps)[0]


def test_a_vrt_of_an_own_output_is_one(with_maps: Path) -> None:
    for name in ("map", "other"):
        rasterio.shutil.copy(with_maps / f"{name}.tif", with_maps / f"{name}.vrt", driver="VRT")
    assert names(find_scenes(with_maps)) == ["a.tif", "b.tif", "other.tif", "other.vrt"]


def test_own_outputs_that_are_named_are_used(with_maps: Path) -> None:
    path = str(with_maps / "map.tif")
    assert find_imagery(path) == ([path], ())
    scenes, notes = find_imagery([with_maps / "a.tif", path])
    assert names(scenes) == ["a.tif", "map.tif"]
    assert notes == (f"{path}: made by geo2map, used as a scene, since it is named",)
    assert path in find_scenes([with_maps, path])


def test_nothing_but_own_outputs(with_maps: Path) -> None:
    for name in ("a.tif", "b.tif", "other.tif"):
        (with_maps / name).unlink()
    with pytest.raises(
        SceneError, match=r"every raster in folder .* is an output of geo2map; name those that are to be"
    ):
        find_scenes(with_maps)
    with pytest.raises(SceneError, match=r"every raster that matches .* is an output"):
        find_scenes(f"{with_maps}/*")


def test_scenes_one_by_one_have_the_note_once(with_maps: Path, tmp_path: Path) -> None:
    told: list[tuple[str, tuple[str, ...]]] = []
    render_each(with_maps, tmp_path / "out", begin=lambda name, notes: told.append((name, tuple(notes))))
    assert told == [("", find_imagery(with_maps)[1])]


def test_many_names_are_looked_up_at_once() -> None:
    """Linear in their number: 20,000 names took seconds where each was sought in a list."""
    start = process_time()
    assert len(find_scenes([f"s{number}.tif" for number in range(20_000)])) == 20_000
    assert process_time() - start < 2  # of the processor, however busy the machine is
