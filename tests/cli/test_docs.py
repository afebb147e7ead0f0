"""The commands of README and docs/ run as printed, block by block, in a folder that holds what a reader has."""

from __future__ import annotations

import functools
import re
import shlex
import shutil
import tempfile
import threading
import tomllib
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pytest
import rasterio
import torch
from affine import Affine
from rasters import write_raster
from test_serve_command import started

from geo2map.demo import make_town
from geo2map.model import find_model, load_card

if TYPE_CHECKING:
    from conftest import Command

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), ROOT / "CONTRIBUTING.md"]
LAB = sorted((ROOT / "examples" / "lab").glob("*.md"))
"""Diaries of experiments: hours of training on pictures that are not part of the project."""
OTHERS = {"pip", "git", "pytest", "python", "ruff", "dask", "docker", "mkdir", "for", "#!/bin/bash", "#SBATCH", "srun"}
OTHERS |= {"qgis_process"}
"""Programs that blocks also start; those of the project's own files must be there."""
TOKEN = "0123456789abcdef"


class Block(NamedTuple):
    """Commands that are printed together."""

    page: str
    line: int
    commands: tuple[str, ...]


def blocks(pages: Sequence[Path] = PAGES) -> Iterator[Block]:
    """Every indented block of commands, long lines joined, output left out."""
    for page in pages:
        lines = [*page.read_text(encoding="utf-8").splitlines(), ""]
        found: list[str] = []
        fenced = False
        for number, line in enumerate(lines, 1):
            fenced ^= line.startswith("```")
            if line.startswith("    ") and not fenced:
                found.append(line.strip())
            elif found:
                yield Block(page.name, number - len(found), tuple(_commands(found)))
                found = []


def _commands(lines: list[str]) -> Iterator[str]:
    transcript = any(line.startswith("$ ") for line in lines)
    waiting = ""
    for line in lines:
        if transcript and not line.startswith("$ "):
            continue
        waiting += line.removeprefix("$ ")
        if waiting.endswith("\\"):
            waiting = waiting[:-1]
            continue
        yield waiting.removeprefix("srun ")
        waiting = ""


BLOCKS = [block for block in blocks() if any(command.startswith("geo2map ") for command in block.commands)]


class _QuietServer(ThreadingHTTPServer):
    """Says nothing of a client that leaves early, as GDAL does once it has the bytes that it wants."""

    def handle_error(self, request: object, client_address: object) -> None:
        pass


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server with a scene on it, in place of https://host/."""
    folder = tmp_path_factory.mktemp("host")
    _write(folder / "c.tif", 2)
    server = _QuietServer(("127.0.0.1", 0), functools.partial(SimpleHTTPRequestHandler, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()


@pytest.fixture(scope="module")
def bucket() -> Iterator[None]:
    """s3://bucket/ on this machine."""
    from buckets import make_bucket, moto, s3_variables

    with moto() as address, pytest.MonkeyPatch.context() as patch:
        make_bucket(address, "bucket")
        for name, value in s3_variables(address).items():
            patch.setenv(name, value)
        yield


@functools.cache
def _town() -> np.ndarray:
    """Streets and houses, uint8 (3, 280, 300): in noise, a model sees no features."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "town.tif"
        make_town(path, size=512)
        with rasterio.open(path) as dataset:
            return dataset.read((1, 2, 3))[:, 116:396, 106:406]


def _write(path: Path, place: int) -> None:
    """A scene of 300 x 280 px at 0.9 m in Hamburg's UTM zone, `place` scenes east of the first."""
    where = Affine(0.9, 0, 570_000 + 200 * place, 0, -0.9, 5_935_000)
    write_raster(path, _town(), crs="EPSG:32632", transform=where)


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a reader has before the first command: scenes, a list of them, a reference map, published weights."""
    folder = tmp_path_factory.mktemp("reader")
    for place, name in enumerate(("scene.tif", "new.tif", "a.tif", "sheets/b.tif", "more/d.tif", "scenes/e_0.9m.tif")):
        _write(folder / name, place)
    for name in ("country.tif", "new-sheet.tif"):
        shutil.copy(folder / "new.tif", folder / name)
    (folder / "country.txt").write_text("scene.tif\nnew.tif\n", encoding="utf-8")
    (folder / "token").write_text(TOKEN, encoding="utf-8")
    return folder


Maker = Callable[["Command", Path], None]


def _pairs(geo2map: Command, folder: Path) -> None:
    make_town(folder / "town.tif", folder / "reference.tif", size=1024)
    asked = ["pairs", folder / "town.tif", "--map", folder / "reference.tif", "--zoom", "17", "--out", folder / "pairs"]
    assert geo2map(*asked, "--size", "128", "--split-block", "1").code == 0


def _rendered(*names: str) -> Maker:
    def make(geo2map: Command, folder: Path) -> None:
        for name in names:
            assert geo2map("render", folder / "scene.tif", "--out", folder / name).code == 0

    return make


def _parts(geo2map: Command, folder: Path) -> None:
    job = folder / "country.job.json"
    assert geo2map("plan", folder / "scene.tif", "--out", job).code == 0
    assert geo2map("render", "--job", job, "--out", folder / "parts").code == 0


def _weights(_: Command, folder: Path, make: Callable[..., torch.nn.Module]) -> None:
    torch.save(make(depth=8, width=4).state_dict(), folder / "latest_net_G.pth")


def _trained(_: Command, folder: Path) -> None:
    shutil.copy(find_model("sat2map"), folder / "mine.safetensors")


MADE_BEFORE: dict[str, Maker] = {
    "map/": _rendered("map"),
    "map.tif": _rendered("map.tif"),
    "map.mbtiles": _rendered("map.mbtiles"),
    "map.pmtiles": _rendered("map.pmtiles"),
    "town.gpkg": _rendered("town.gpkg"),
    "pairs/": _pairs,
    "country.job.json": _parts,
    "parts/": _parts,
    "mine.safetensors": _trained,
}
"""What a block may start from that commands elsewhere made."""


def _prepare(block: Block, geo2map: Command, folder: Path) -> None:
    """Makes what the block reads and does not write."""
    written: set[str] = set()
    for command in block.commands:
        words = shlex.split(command, comments=True) if command.startswith("geo2map ") else ["", ""]
        written |= {words[3]} if words[1] == "convert" else set()
        for before, word in zip(["", *words], words, strict=False):
            if before in ("--out", "-o") and "--update" not in words:
                written.add(word)
            elif word in MADE_BEFORE and word not in written and not (folder / word).exists():
                MADE_BEFORE[word](geo2map, folder)


def _typed(command: str, folder: Path, host: str) -> list[str]:
    """The words of a command, with addresses and devices that this machine has."""
    for printed, here in {
        "https://host/": host,
        "tcp://scheduler:8786": "local:1",
        "--device cuda": "--device cpu",
        "17/512": "1/1",
        '"$SLURM_ARRAY_TASK_ID/512"': "1/1",
        "/shared/": f"{folder.as_posix()}/",
        "/scratch": f"{folder.as_posix()}/scratch",
        '"$(cat token)"': TOKEN,
        "local:4": "local:1",
        "--bounds 10.1,53.5,10.2,53.6": "--bounds 10.05,53.5,10.1,53.6",
    }.items():
        command = command.replace(printed, here)
    words = shlex.split(command, comments=True)[1:]
    if words[0] == "train":  # an evening's work
        words += ["--steps", "2", "--batch", "1", "--crop", "64", "--autocast", "none"]
        words += [] if "--from" in words else ["--widths", "8,8,8,8", "--residual-blocks", "0,0,0,0"]
    if words[0] == "pairs":
        words += ["--size", "128", "--split-block", "1"]
    if words[0] == "qgis-install":  # not into the profile of whoever runs the tests
        words += ["--profile", str(folder)]
    if words[0] == "demo":
        words += ["--size", "512"]
    return words


@pytest.mark.slow
@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: f"{block.page}:{block.line}")
def test_a_block_runs_as_printed(
    block: Block,
    geo2map: Command,
    reader: Path,
    host: str,
    bucket: None,
    reference_unet: Callable[..., torch.nn.Module],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    del bucket
    shutil.copytree(reader, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    if "latest_net_G.pth" in "".join(block.commands):
        _weights(geo2map, tmp_path, reference_unet)
    if "pairs scene.tif" in "".join(block.commands):
        make_town(tmp_path / "scene.tif", tmp_path / "reference.tif", size=1024)
    if "--onnx" in "".join(block.commands):
        pytest.importorskip("onnxscript", reason="needs the extra [onnx]")
    _prepare(block, geo2map, tmp_path)
    for command in block.commands:
        if not command.startswith("geo2map "):
            continue
        words = _typed(command, tmp_path, host)
        if words[0] in ("serve", "view"):
            _look(words)
            continue
        result = geo2map(*words)
        assert result.code == 0, f"{command}\n{result.err}"
        assert "Traceback" not in result.err


def _look(words: list[str]) -> None:
    """A server starts, and its page is there."""
    quiet = ["--no-browser"] if words[0] == "view" else []
    with started(*words, *quiet) as (process, addresses):
        assert addresses, process.stderr.read() if process.stderr else ""
        if "--address" not in words:  # an address on the internet
            with urllib.request.urlopen(addresses["page"], timeout=60) as answer:
                assert b"<html" in answer.read()


def test_every_program_of_a_block_is_known() -> None:
    """A command in a block that neither runs nor is looked at would be a promise that nobody keeps."""
    first = {command.split()[0] for block in BLOCKS for command in block.commands}
    environment = re.compile(r"[A-Z_]+=")
    assert {word for word in first if not environment.match(word)} - {"geo2map"} <= OTHERS


def test_files_and_extras_that_blocks_name_are_there() -> None:
    extras = set(
        tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    )
    for block in blocks([*PAGES, *LAB]):
        for command in block.commands:
            for word in command.split() if command.startswith(("python ", "pip ")) else []:
                if word.endswith(".py") or word == "constraints.txt":
                    assert (ROOT / word).is_file(), f"{block.page}:{block.line}: {word}"
                if found := re.fullmatch(r'"\.\[(\w+)\]"', word):
                    assert found[1] in extras


@pytest.mark.parametrize(
    "page", [*PAGES, *LAB, ROOT / "ARCHITECTURE.md", ROOT / "SECURITY.md"], ids=lambda page: page.name
)
def test_links_lead_to_files_and_headings(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
        if target.startswith(("http:", "https:")):
            continue
        path, _, anchor = target.partition("#")
        file = page.parent / path if path else page
        assert file.exists(), f"{page.name}: {target}"
        if anchor:
            assert anchor in {_anchor(line) for line in file.read_text(encoding="utf-8").splitlines()}, target


def _anchor(line: str) -> str:
    """The fragment by which GitHub links to a heading."""
    return re.sub(r"[^\w\- ]", "", line.lstrip("#").strip().lower()).replace(" ", "-") if line.startswith("#") else ""


def test_the_readme_starts_with_what_everybody_types() -> None:
    """One line to get it, one to set it up, one for the main job, one for the tests, which CI runs as they are."""
    first = next(block for block in blocks() if block.page == "README.md")
    words = [shlex.split(command, comments=True) for command in first.commands]
    assert [line[0] for line in words] == ["git", "pip", "geo2map", "pytest"]
    assert words[2][1:3] == ["render", "scene.tif"]
    assert "\npytest\n" in (ROOT / ".ci" / "run").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ["sat2map", "sat2map-large", "map2sat"])
def test_files_that_a_packaged_card_names_are_there(name: str) -> None:
    named = re.findall(r"(?:docs|examples)/[\w./-]+\w", load_card(find_model(name)).to_json())
    assert named
    assert all((ROOT / path).is_file() for path in named), named
