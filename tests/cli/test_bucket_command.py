"""Maps in a bucket from the command line, every kind of output, on moto's server."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from buckets import make_bucket, moto, s3_variables

from geo2map.buckets.objects import open_bucket

if TYPE_CHECKING:
    from conftest import Command, SceneWriter

pytestmark = pytest.mark.slow

BUCKET = "s3://town-maps"
KINDS = ("map/", "map.pmtiles", "map.mbtiles", "map.tif")


class Gate:
    """Counts what a WSGI application takes, and refuses it from some object on."""

    def __init__(self, application: Any) -> None:
        self.application = application
        self.puts: list[str] = []
        self.takes = 10**9

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Any:
        if environ["REQUEST_METHOD"] in ("PUT", "POST"):
            self.puts.append(environ["PATH_INFO"])
            if len(self.puts) > self.takes:
                start_response("403 Forbidden", [("Content-Length", "0")])
                return [b""]
        return self.application(environ, start_response)


@pytest.fixture(scope="module")
def server() -> Iterator[tuple[str, Gate]]:
    gates: list[Gate] = []
    with moto(lambda application: gates.append(Gate(application)) or gates[0]) as address:
        yield address, gates[0]


@pytest.fixture
def gate(server: tuple[str, Gate], monkeypatch: pytest.MonkeyPatch) -> Gate:
    """An empty bucket, and what stands before it."""
    address, gate = server
    for name, value in s3_variables(address).items():
        monkeypatch.setenv(name, value)
    make_bucket(address, BUCKET.removeprefix("s3://"))
    gate.puts, gate.takes = [], 10**9
    return gate


def objects() -> dict[str, bytes]:
    """The objects of the bucket with their bytes."""
    store, _ = open_bucket(f"{BUCKET}/any")
    return {item["path"]: bytes(store.get(item["path"]).bytes()) for some in store.list() for item in some}


def local(path: Path) -> dict[str, bytes]:
    """The same of an output on the disk, without the journal, which stays there."""
    files = [path] if path.is_file() else [found for found in path.rglob("*") if found.is_file()]
    found = {file.relative_to(path.parent).as_posix(): file.read_bytes() for file in files}
    return {name: data for name, data in found.items() if not name.endswith(".geo2map.journal")}


@pytest.mark.parametrize("name", KINDS)
def test_the_bytes_of_a_local_render(
    geo2map: Command, write_scene: SceneWriter, tiny_model: Path, tmp_path: Path, gate: Gate, name: str
) -> None:
    """Again: complete, nothing is sent. With other settings: refused. With --overwrite: replaced."""
    scene, to = write_scene("scene.tif"), ["--out", f"{BUCKET}/{name}", "--tmp", tmp_path / "spool"]
    options = ["--model", tiny_model, "--block-span", "1"]
    sent = geo2map("render", scene, *options, *to)
    assert sent.code == 0, sent.err
    assert "CORS" in sent.err
    assert geo2map("render", scene, *options, "--out", tmp_path / name).code == 0
    assert objects() == local(tmp_path / name)
    assert not any((tmp_path / "spool").iterdir())

    gate.puts = []
    again = geo2map("render", scene, *options, *to)
    assert again.code == 0
    assert again.out == "scene: complete\n"
    assert gate.puts == []
    report = json.loads(geo2map("render", scene, *options, *to, "--json").out)
    local_one = json.loads(geo2map("render", scene, *options, "--out", tmp_path / name, "--json").out)
    assert report | {"path": ""} == local_one | {"path": ""}
    assert report["complete"]

    other = geo2map("render", scene, *options, "--zoom", "16", *to)
    assert other.code == 1
    assert "exists already" in other.err
    assert gate.puts == []

    replaced = geo2map("render", scene, *options, "--zoom", "16", "--overwrite", *to)
    assert replaced.code == 0, replaced.err
    assert geo2map("render", scene, *options, "--zoom", "16", "--overwrite", "--out", tmp_path / name).code == 0
    assert objects() == local(tmp_path / name)


@pytest.mark.parametrize("name", ["map/", "map.pmtiles"])
def test_a_run_that_the_bucket_stopped_goes_on(
    geo2map: Command, write_scene: SceneWriter, tiny_model: Path, tmp_path: Path, gate: Gate, name: str
) -> None:
    scene = write_scene("scene.tif")
    command = ["render", scene, "--model", tiny_model, "--block-span", "1"]
    gate.takes = 3 if name.endswith("/") else 1
    stopped = geo2map(*command, "--out", f"{BUCKET}/{name}", "--tmp", tmp_path / "spool")
    assert stopped.code == 1
    assert "Traceback" not in stopped.err
    assert not any(found in objects() for found in ("map/tilejson.json", "map.pmtiles"))
    gate.takes = 10**9
    assert geo2map(*command, "--out", f"{BUCKET}/{name}", "--tmp", tmp_path / "spool").code == 0
    assert geo2map(*command, "--out", tmp_path / name).code == 0
    assert objects() == local(tmp_path / name)


def test_without_resuming(
    geo2map: Command, write_scene: SceneWriter, tiny_model: Path, tmp_path: Path, gate: Gate
) -> None:
    """--no-resume starts anew what the same command without it had begun, although that left its lock."""
    command = ["render", write_scene("scene.tif"), "--model", tiny_model, "--block-span", "1"]
    to = ["--out", f"{BUCKET}/map/", "--tmp", tmp_path / "spool"]
    gate.takes = 3
    assert geo2map(*command, *to).code == 1
    gate.takes = 10**9
    done = geo2map(*command, *to, "--no-resume", "--json")
    assert done.code == 0, done.err
    assert '"resumed": 0' in done.out


def test_what_lies_beside_the_tiles(
    geo2map: Command, write_scene: SceneWriter, tiny_model: Path, tmp_path: Path, gate: Gate
) -> None:
    """--address, --with-source, --classes, --scheme, --format: options that meet parameters of a bucket's own."""
    del gate
    options = ["--model", tiny_model, "--with-source", "--scheme", "tms", "--address", "https://maps.example/map"]
    scene = write_scene("scene.tif")
    sent = geo2map("render", scene, *options, "--out", f"{BUCKET}/map/", "--tmp", tmp_path / "spool")
    assert sent.code == 0, sent.err
    assert geo2map("render", scene, *options, "--out", tmp_path / "map").code == 0
    assert {"map/tiles.xml", "map/source/tilejson.json"} <= set(objects())
    assert objects() == local(tmp_path / "map")


@pytest.mark.parametrize("name", KINDS)
def test_merging_and_dask(
    geo2map: Command, write_scene: SceneWriter, tiny_model: Path, tmp_path: Path, gate: Gate, name: str
) -> None:
    scene, options = write_scene("scene.tif"), ["--model", tiny_model, "--block-span", "1"]
    assert geo2map("plan", scene, *options, "--out", tmp_path / "town.job.json").code == 0
    assert geo2map("render", "--job", tmp_path / "town.job.json", "--out", tmp_path / "parts").code == 0
    to = ["--out", f"{BUCKET}/{name}", "--tmp", tmp_path / "spool"]
    merged = geo2map("merge", tmp_path / "parts", *to)
    assert merged.code == 0, merged.err
    assert geo2map("merge", tmp_path / "parts", "--out", tmp_path / name).code == 0
    assert objects() == local(tmp_path / name)
    gate.puts = []
    again = geo2map("merge", tmp_path / "parts", *to)
    assert again.code == 0
    assert "complete" in again.out
    assert gate.puts == []


def test_dask_sends_too(
    geo2map: Command, write_scene: SceneWriter, tiny_model: Path, tmp_path: Path, gate: Gate
) -> None:
    del gate
    pytest.importorskip("distributed", reason="needs the extra [dask]")
    scene, options = write_scene("scene.tif"), ["--model", tiny_model, "--block-span", "1"]
    to = ["--out", f"{BUCKET}/map.pmtiles", "--tmp", tmp_path / "spool"]
    sent = geo2map("render", scene, *options, "--dask", "local:1", *to)
    assert sent.code == 0, sent.err
    assert geo2map("render", scene, *options, "--out", tmp_path / "map.pmtiles").code == 0
    assert objects() == local(tmp_path / "map.pmtiles")


def test_a_palette_of_other_colours_is_another_job(
    geo2map: Command, write_scene: SceneWriter, tiny_model: Path, tmp_path: Path, gate: Gate
) -> None:
    """It is the content of a file that counts, not its name; nor does a local folder decide what a file is."""
    del gate
    palette, scene = tmp_path / "colours.json", write_scene("scene.tif")
    palette.write_text('["#000000", "#ffffff"]')
    command = ["render", scene, "--model", tiny_model, "--palette", palette, "--tmp", tmp_path / "spool"]
    assert geo2map(*command, "--out", f"{BUCKET}/map.pmtiles").code == 0
    assert "complete" in geo2map(*command, "--out", f"{BUCKET}/map.pmtiles").out
    palette.write_text('["#090909", "#ffffff"]')
    other = geo2map(*command, "--out", f"{BUCKET}/map.pmtiles")
    assert (other.code, "exists already" in other.err) == (1, True)


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("map", "a folder of tiles ends in a slash"),
        ("v1.2", "a folder of tiles ends in a slash"),
        ("map.gif", ".gif is not a supported output type"),
        ("", "not an address in a bucket"),
    ],
)
def test_names_that_are_refused_before_the_work(
    geo2map: Command, write_scene: SceneWriter, gate: Gate, name: str, sentence: str
) -> None:
    result = geo2map("render", write_scene("scene.tif"), "--out", f"{BUCKET}/{name}")
    assert result.code == 1
    assert sentence in result.err
    assert gate.puts == []
