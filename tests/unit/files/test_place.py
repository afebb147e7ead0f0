"""Names and places of outputs that cannot be: refused in one sentence, before any work."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from geo2map.api import name_targets
from geo2map.errors import OutputError
from geo2map.files import place
from geo2map.files.place import check_place, require_writable
from geo2map.formats import find_container
from geo2map.ledger import OutputOptions, check_output
from geo2map.ledger.checks import names_around
from geo2map.plan import Storage

posix = pytest.mark.skipif(os.name == "nt", reason="Windows has other names, and links for administrators only")


def refuse(path: str | Path, said: str, **arguments: object) -> None:
    with pytest.raises(OutputError) as caught:
        check_place(path, **arguments)  # type: ignore[arg-type]
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)
    str(caught.value).encode()


def test_the_root_and_the_current_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    refuse(tmp_path.anchor, "is the root of the file system")
    for path in (".", "./", tmp_path / "here", "below/.."):
        refuse(path, "is the current folder")
    for path in ("..", "../", tmp_path):
        refuse(path, "holds the current folder")
    for path in ("", "  "):
        refuse(path, "empty name")
    for name in ("below", "./below", "../beside", "...", "v1.2", "..town"):
        assert check_place(name).is_absolute()


@posix
def test_links_in_a_circle(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    for path in ("loop", "loop/x", "a", "b/x/y.tif"):
        refuse(tmp_path / path, "goes through a link that points to itself")
    (tmp_path / "ahead").symlink_to("not-there-yet")
    assert check_place(tmp_path / "ahead") == tmp_path.resolve() / "not-there-yet"


@posix
def test_what_is_neither_file_nor_folder(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.tif")
    for path in ("/dev/null", tmp_path / "pipe.tif"):
        refuse(path, "is a device, a pipe or a socket")
    refuse("/dev/null/map", "/dev/null is not a folder; choose another place")


def test_a_file_above(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    for below in ("map", "deep/er/map.tif"):
        refuse(tmp_path / "file" / below, "file is a file, not a folder; choose another place")


def test_characters_that_no_name_has(tmp_path: Path) -> None:
    refuse(f"{tmp_path}/a\0b", "NUL")
    refuse(f"{tmp_path}/a\udcffb", "is not UTF-8")


@posix
@pytest.mark.parametrize("name", ["map", "map.tif", "map.mbtiles", "map.pmtiles"])
@pytest.mark.parametrize("letter", ["o", "地"])
def test_a_name_has_room_for_what_lies_around_it(name: str, letter: str, tmp_path: Path) -> None:
    """The longest that is taken can be made with all around it; one byte more is refused."""
    _, dot, suffix = name.partition(".")
    most = os.pathconf(tmp_path, "PC_NAME_MAX")

    def named(count: int) -> Path:
        return tmp_path / f"{letter * count}{dot}{suffix}"

    count = next(
        count
        for count in range(most, 0, -1)
        if max(len(os.fsencode(n)) for n in names_around(tmp_path / f"{letter}{dot}{suffix}", find_container(name)))
        + (count - 1) * len(os.fsencode(letter))
        <= most
    )
    check_output(named(count), OutputOptions(), Storage())
    for around in names_around(named(count), find_container(name)):
        (tmp_path / around).touch()
    with pytest.raises(OutputError, match=r"too long by [123] bytes"):
        check_output(named(count + 1), OutputOptions(), Storage())
    for more in (most, 10 * most):
        with pytest.raises(OutputError, match="too long"):
            check_output(named(more), OutputOptions(), Storage())


@posix
def test_paths_and_folders_that_are_too_long(tmp_path: Path) -> None:
    refuse(tmp_path / ("f" * 300) / "map", "is too long")
    deep = tmp_path.joinpath(*["f" * 200] * 25)
    refuse(deep, "too long")


@posix
def test_a_file_system_with_shorter_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "pathconf", lambda _, key: 143 if key == "PC_NAME_MAX" else 4096)
    assert check_place(tmp_path / ("o" * 130))
    refuse(tmp_path / ("o" * 140), "too long by 6 bytes")


def test_what_it_is_made_of_is_not_replaced(tmp_path: Path) -> None:
    scene = tmp_path / "scenes" / "town.tif"
    scene.parent.mkdir()
    scene.write_text("pixels")
    refuse(scene, "is the scene itself", keep=[scene])
    refuse(tmp_path / "scenes", "contains the scene", keep=[scene])
    refuse(tmp_path / "scenes" / ".." / "scenes" / "town.tif", "is the scene itself", keep=[scene])
    assert check_place(tmp_path / "scenes" / "map.tif", keep=[scene])
    if os.name != "nt":
        (tmp_path / "link.tif").hardlink_to(scene)
        refuse(tmp_path / "link.tif", "is the scene itself", keep=[scene])


def test_a_file_is_not_made_in_itself(tmp_path: Path) -> None:
    for tmp in (tmp_path / "map.tif", tmp_path / "map.tif" / "below"):
        with pytest.raises(OutputError, match="inside the output") as caught:
            check_output(tmp_path / "map.tif", OutputOptions(tmp=tmp), Storage())
        assert caught.value.option == "tmp"


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("con", "is a device name on Windows"),
        ("NUL.tif", "is a device name on Windows"),
        ("maps/com1/x", "is a device name on Windows"),
        ("town.", "ends in a dot or a space"),
        ("town /x", "ends in a dot or a space"),
        ("a?b", "not allowed in names on Windows"),
        ("a:b.tif", "not allowed in names on Windows"),
    ],
)
def test_names_that_windows_has_not(name: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    if os.name != "nt":
        assert check_place(f"out/{name}")
    monkeypatch.setattr(place, "WINDOWS", True)
    refuse(f"out/{name}", said)
    for fine in ("console", "com0", "out/nulls.tif", "../x/v1.2", ".hidden"):
        assert check_place(fine)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_without_permission(tmp_path: Path) -> None:
    (tmp_path / "shut").mkdir(mode=0o500)
    with pytest.raises(OutputError, match="shut is not writable"):
        require_writable(tmp_path / "shut" / "deep" / "map")


@pytest.mark.skipif(sys.platform != "linux", reason="a file system of Linux that takes no files, not even root's")
def test_a_file_system_that_takes_no_files() -> None:
    with pytest.raises(OutputError, match="/proc is not writable"):
        require_writable("/proc/map")
    require_writable("map")


@pytest.mark.parametrize("out", ["", "  "])
def test_an_empty_name_is_not_the_current_folder(out: str, tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="the output has an empty name"):
        check_place(out)
    with pytest.raises(OutputError, match="the output has an empty name"):
        name_targets(tmp_path / "scene.tif", out)
