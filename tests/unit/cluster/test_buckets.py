"""Outputs in buckets, on moto's server; some of its answers are faults."""

from __future__ import annotations

import json
import os
import socket
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from buckets import make_bucket, moto, s3_variables
from obstore.exceptions import GenericError
from obstore.store import S3Store

from geo2map.buckets import uploads
from geo2map.buckets.objects import is_bucket, open_bucket
from geo2map.buckets.uploads import check_bucket, stage_and_upload, upload_output
from geo2map.errors import OutputError, PlanError


class Faults:
    """Answers some requests of a WSGI application with an error."""

    def __init__(self, application: Any) -> None:
        self.application, self.plan, self.given, self.log = application, [], 0, []  # type: ignore[var-annotated]

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Any:
        self.log.append((environ["REQUEST_METHOD"], environ["PATH_INFO"]))
        if self.plan and environ["REQUEST_METHOD"] == "PUT":
            self.given += 1
            fault = self.plan.pop(0)
            if fault == "reset":  # the connection ends without an answer
                environ["werkzeug.socket"].shutdown(socket.SHUT_RDWR)
                raise ConnectionResetError
            if fault == "slow":  # done at once, so that nothing arrives in a later test; told when nobody listens
                answer = self.application(environ, start_response)
                time.sleep(2.5)
                return answer
            start_response(fault, [("Content-Length", "0")])
            return [b""]
        return self.application(environ, start_response)


@pytest.fixture(scope="module")
def server() -> Iterator[Any]:
    found: list[Faults] = []

    def around(application: Any) -> Faults:
        found.append(Faults(application))
        return found[0]

    with moto(around) as address:
        yield address, found[0]


@pytest.fixture
def faults(server: Any, monkeypatch: pytest.MonkeyPatch) -> Faults:
    """A bucket of its own for each test, found by the usual variables."""
    address, faults = server
    for name, value in s3_variables(address).items():
        monkeypatch.setenv(name, value)
    make_bucket(address, "maps-bucket")
    faults.plan, faults.given, faults.log = [], 0, []
    return faults


@pytest.fixture
def tiles(tmp_path: Path) -> Path:
    """What a folder of tiles looks like."""
    folder = tmp_path / "map"
    for name in ("3/1/2.png", "3/1/3.png", "2/0/1.png", "index.html"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(name.encode())
    (folder / "tilejson.json").write_text(json.dumps({"tilejson": "3.0.0", "geo2map": {}}))
    return folder


def names(store: S3Store) -> set[str]:
    return {item["path"] for some in store.list() for item in some}


def test_a_folder_lands_whole_and_its_document_last(faults: Faults, tiles: Path) -> None:
    upload_output(tiles, "s3://maps-bucket/a/map/")
    store, _ = open_bucket("s3://maps-bucket/a/map/")
    assert names(store) == {
        f"a/map/{name}" for name in ("3/1/2.png", "3/1/3.png", "2/0/1.png", "index.html", "tilejson.json")
    }
    puts = [path for method, path in faults.log if method == "PUT"]
    assert puts[-1].endswith("tilejson.json")
    assert puts[0].endswith(".geo2map.lock")
    found = store.get("a/map/3/1/2.png")
    assert found.attributes["Content-Type"] == "image/png"
    assert "max-age" in found.attributes["Cache-Control"]


def test_a_file_brings_its_layers_and_replaces_nobody_s(faults: Faults, tmp_path: Path) -> None:
    for name in ("m.pmtiles", "m.source.pmtiles"):
        (tmp_path / name).write_bytes(name.encode())
    store, _ = open_bucket("s3://maps-bucket/a/m.pmtiles")
    store.put("a/m.source.pmtiles", b"mine")
    with pytest.raises(OutputError, match=r"s3://maps-bucket/a/m\.source\.pmtiles exists already"):
        upload_output(tmp_path / "m.pmtiles", "s3://maps-bucket/a/m.pmtiles", job="j")
    assert names(store) == {"a/m.source.pmtiles"}
    upload_output(tmp_path / "m.pmtiles", "s3://maps-bucket/a/m.pmtiles", job="j", overwrite=True)
    assert bytes(store.get("a/m.source.pmtiles").bytes()) == b"m.source.pmtiles"
    assert names(store) == {"a/m.pmtiles", "a/m.source.pmtiles"}
    assert [path for method, path in faults.log if method == "PUT"][-1].endswith("/m.pmtiles")  # all is there by then


def test_faults_of_the_server_are_survived(faults: Faults, tiles: Path) -> None:
    faults.plan = ["503 Slow Down", "500 Internal Server Error", "503 Slow Down"]
    upload_output(tiles, "s3://maps-bucket/map/")
    assert faults.given == 3
    check = pytest.raises(OutputError, match="exists already")
    with check:
        check_bucket("s3://maps-bucket/map/")


def test_resets_and_slow_answers_are_survived(faults: Faults, tiles: Path) -> None:
    faults.plan = ["reset", "slow", "503 Slow Down", "reset"]
    upload_output(tiles, "s3://maps-bucket/map/", client={"timeout": "1s", "allow_http": True})
    assert faults.given == 4
    store, _ = open_bucket("s3://maps-bucket/map/")
    assert bytes(store.get("map/3/1/2.png").bytes()) == b"3/1/2.png"
    assert "map/tilejson.json" in names(store)


@pytest.mark.parametrize(
    ("address", "kind", "variables"),
    [
        ("gs://maps/a/b/", "GCSStore", {}),
        ("az://maps/a/b/", "AzureStore", {"AZURE_STORAGE_ACCOUNT_NAME": "me", "AZURE_STORAGE_ACCOUNT_KEY": "bWU="}),
        ("s3://maps/a/b/", "S3Store", {"AWS_REGION": "eu-west-1"}),
    ],
)
def test_each_kind_of_bucket_is_opened(
    address: str, kind: str, variables: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Addresses and variables only: nothing answers here."""
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    store, name = open_bucket(address)
    assert type(store).__name__ == kind
    assert name == "a/b/"


def test_tiles_go_straight_there(faults: Faults, small_scene: Path, tmp_path: Path) -> None:
    """No tile lies here; a run that is stopped goes on behind the blocks whose tiles are there, with the same bytes."""
    from geo2map.api import tile
    from geo2map.api.rendering import render_request
    from geo2map.api.requests import RenderRequest
    from geo2map.buckets.stream import can_stream, stream_to_bucket
    from geo2map.ledger import OutputOptions
    from geo2map.testing import make_card

    address, card = "s3://maps-bucket/map/", make_card(name="cut", margin=0, size_multiple=1)
    options = {"zoom": 17, "block_span": 1, "match": "none", "minzoom": 15}

    def stop(stage: str, done: int, total: int) -> None:  # noqa: ARG001
        if stage == "blocks" and done == 3:
            raise KeyboardInterrupt

    def make(path: Path, sink: Any, progress: Any = None) -> Any:
        request = RenderRequest.of(small_scene, path, card, options)
        return render_request(replace(request, output=OutputOptions(sink=sink)), progress=progress)

    assert can_stream(address)
    with pytest.raises(KeyboardInterrupt):
        stream_to_bucket(address, lambda path, sink: make(path, sink, stop), "key", tmp=tmp_path / "tmp")
    store, _ = open_bucket(address)
    sent = {name for name in names(store) if name.endswith(".png")}
    assert len(sent) >= 3
    assert not list((tmp_path / "tmp").rglob("*.png"))
    assert "map/tilejson.json" not in names(store)
    with pytest.raises(OutputError, match="locked by another run"):
        stream_to_bucket(address, make, "another key", tmp=tmp_path / "other")
    faults.log = []
    report = stream_to_bucket(address, make, "key", tmp=tmp_path / "tmp")
    assert report is not None
    assert report.resumed >= 3
    tile(small_scene, tmp_path / "local", card=card, **options)
    local = {p.relative_to(tmp_path / "local").as_posix(): p for p in (tmp_path / "local").rglob("*") if p.is_file()}
    del local[".geo2map.journal"]
    assert {name[4:] for name in names(store)} == set(local)
    assert all(bytes(store.get(f"map/{name}").bytes()) == path.read_bytes() for name, path in local.items())
    puts = [path for method, path in faults.log if method == "PUT"]
    assert puts[-1].endswith("tilejson.json")
    assert len([path for path in puts if path.endswith(".png")]) < len(
        [name for name in local if name.endswith(".png")]
    )
    assert not list((tmp_path / "tmp").iterdir())
    assert not can_stream(address)


def test_a_map_that_is_finished_meanwhile_stays(faults: Faults, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: ARG001
    """Another writer ends after the first look and before the lock."""
    from geo2map.buckets import stream

    store, _ = open_bucket("s3://maps-bucket/map/")
    monkeypatch.setattr(stream, "check_bucket", lambda _: store.put("map/tilejson.json", b"theirs"))
    with pytest.raises(OutputError, match="exists already"):
        stream.stream_to_bucket("s3://maps-bucket/map/", lambda *_: pytest.fail("made"), "key")
    assert bytes(store.get("map/tilejson.json").bytes()) == b"theirs"
    assert names(store) == {"map/tilejson.json"}


def test_a_stopped_upload_goes_on(faults: Faults, tiles: Path) -> None:
    """It is killed before its document; nobody takes what is there for complete, and the next sends only the rest."""
    whole = uploads._windowed

    def stopped(*arguments: Any) -> Iterator[None]:
        yield from whole(*arguments)
        raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(uploads, "_windowed", stopped)
        with pytest.raises(KeyboardInterrupt):
            upload_output(tiles, "s3://maps-bucket/map/")
    store, _ = open_bucket("s3://maps-bucket/map/")
    assert "map/tilejson.json" not in names(store)
    faults.log = []
    check_bucket("s3://maps-bucket/map/")
    upload_output(tiles, "s3://maps-bucket/map/")
    sent = [path.rsplit("/", 1)[-1] for method, path in faults.log if method == "PUT"]
    assert sent == [".geo2map.lock", "tilejson.json"]
    assert "map/.geo2map.lock" not in names(store)


def test_two_writers_do_not_mix(faults: Faults, tiles: Path) -> None:  # noqa: ARG001
    store, _ = open_bucket("s3://maps-bucket/map/")
    store.put("map/.geo2map.lock", b"another")
    with pytest.raises(OutputError, match="locked by another run"):
        upload_output(tiles, "s3://maps-bucket/map/")
    assert names(store) == {"map/.geo2map.lock"}


def test_only_ours_is_replaced(faults: Faults, tiles: Path) -> None:
    store, _ = open_bucket("s3://maps-bucket/map/")
    store.put("map/holiday.jpg", b"mine")
    with pytest.raises(OutputError, match=r"holds map/holiday\.jpg"):
        upload_output(tiles, "s3://maps-bucket/map/", overwrite=True)
    store.delete("map/holiday.jpg")
    upload_output(tiles, "s3://maps-bucket/map/")
    store.put("map/holiday.jpg", b"mine")
    (tiles / "3/1/3.png").unlink()
    (tiles / "3/1/2.png").write_bytes(b"new")
    faults.log = []
    upload_output(tiles, "s3://maps-bucket/map/", overwrite=True)
    assert "map/holiday.jpg" in names(store)
    assert "map/3/1/3.png" not in names(store)
    sent = {path.rsplit("/", 1)[-1] for method, path in faults.log if method == "PUT"}
    assert sent == {".geo2map.lock", "2.png", "tilejson.json"}  # what was there with the same bytes is not sent again


def test_a_file_goes_in_parts(faults: Faults, tmp_path: Path) -> None:
    (tmp_path / "m.pmtiles").write_bytes(bytes(range(256)) * 2**16)  # 16 MiB: four parts
    upload_output(tmp_path / "m.pmtiles", "s3://maps-bucket/m.pmtiles")
    store, _ = open_bucket("s3://maps-bucket/m.pmtiles")
    assert bytes(store.get_range("m.pmtiles", start=2**23 + 5, length=4)) == bytes((5, 6, 7, 8))
    assert store.head("m.pmtiles")["size"] == 2**24
    assert sum(method == "PUT" and path.endswith("m.pmtiles") for method, path in faults.log) == 4
    assert names(store) == {"m.pmtiles"}
    with pytest.raises(OutputError, match="exists already"):
        upload_output(tmp_path / "m.pmtiles", "s3://maps-bucket/m.pmtiles")


def test_made_here_sent_there_and_removed(faults: Faults, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Path] = []

    def make(path: Path) -> Any:
        made.append(path)
        path.write_bytes(b"archive")
        return "report"

    def fail(*_: object, **__: object) -> None:
        raise OutputError("the network is gone")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(uploads, "upload_output", fail)
        with pytest.raises(OutputError, match="network"):
            stage_and_upload("s3://maps-bucket/m.pmtiles", make, "key", tmp=tmp_path / "tmp")
    assert stage_and_upload("s3://maps-bucket/m.pmtiles", make, "key", tmp=tmp_path / "tmp") is None
    assert len(made) == 1
    assert not list((tmp_path / "tmp").iterdir())
    del faults, monkeypatch


def test_addresses() -> None:
    assert is_bucket("s3://bucket/a/")
    assert is_bucket("gs://bucket/a.tif")
    assert not is_bucket("a/b")
    with pytest.raises(OutputError, match="not an address in a bucket"):
        open_bucket("s3://bucket/")


def test_a_bucket_that_is_not_there(faults: Faults, tiles: Path) -> None:  # noqa: ARG001
    with pytest.raises(OutputError, match="nowhere"):
        upload_output(tiles, "s3://nowhere-bucket/map/")


def test_without_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "obstore.store", None)
    with pytest.raises(PlanError, match=r'-e "\.\[cloud\]"'):
        open_bucket("s3://bucket/map/")
    assert issubclass(GenericError, Exception)


def test_a_map_into_a_bucket(
    faults: Faults, small_scene: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """merge --out s3://: the tiles that a local merge makes; GDAL opens the GeoTIFF where it lies."""
    import rasterio
    from click.testing import CliRunner
    from geo2map_cli.main import cli

    from geo2map.cluster import merge_parts, plan_job, render_shard
    from geo2map.testing import make_card

    card = make_card(name="cut", margin=0, size_multiple=1)
    order = plan_job(small_scene, model=None, card=card, zoom=17, block_span=1, match="none")
    for shard in order.shards():
        render_shard(order, shard, tmp_path / "parts")
    merge_parts(tmp_path / "parts", tmp_path / "tiles")
    merge_parts(tmp_path / "parts", tmp_path / "m.tif")
    for out in ("s3://maps-bucket/map/", "s3://maps-bucket/m.tif"):
        command = ["merge", str(tmp_path / "parts"), "--out", out, "--tmp", str(tmp_path / "tmp")]
        done = CliRunner().invoke(cli, command, catch_exceptions=False)
        assert done.exit_code == 0, done.output
        assert "CORS" in done.output
    store, _ = open_bucket("s3://maps-bucket/map/")
    local = {p.relative_to(tmp_path / "tiles").as_posix() for p in (tmp_path / "tiles").rglob("*") if p.is_file()}
    assert {name[4:] for name in names(store) if name.startswith("map/")} == local - {".geo2map.journal"}
    assert bytes(store.get("map/tilejson.json").bytes()) == (tmp_path / "tiles" / "tilejson.json").read_bytes()
    assert bytes(store.get("m.tif").bytes()) == (tmp_path / "m.tif").read_bytes()
    monkeypatch.setenv("AWS_S3_ENDPOINT", os.environ["AWS_ENDPOINT"].removeprefix("http://"))
    monkeypatch.setenv("AWS_HTTPS", "NO")
    monkeypatch.setenv("AWS_VIRTUAL_HOSTING", "FALSE")
    with rasterio.open("/vsis3/maps-bucket/m.tif") as away, rasterio.open(tmp_path / "m.tif") as here:
        assert (away.read(1) == here.read(1)).all()
    del faults
