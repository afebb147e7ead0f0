"""The same uploads to all three kinds of buckets, each by its own protocol.

S3 is moto's server. Google's XML protocol is answered by it, too, but for the header that says "only if there is none"
and the kind of login, which are put into S3's words on the way. Azure's is Azurite's (`npm install --global azurite`).
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import shutil
import socket
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from email.utils import formatdate
from pathlib import Path
from typing import Any

import pytest
from buckets import make_bucket, moto, s3_variables
from waiting import wait_until

from geo2map.buckets import uploads
from geo2map.buckets.objects import list_objects, open_bucket, take_lock
from geo2map.buckets.uploads import upload_output
from geo2map.errors import OutputError

ACCOUNT = "devstoreaccount1"
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
"""Azurite's, which everybody knows."""
LOGIN = "AWS4-HMAC-SHA256 Credential=test/20200101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=none"
Environment = dict[str, str]


class GoogleAsS3:
    """Says Google's requests in S3's words to a WSGI application."""

    def __init__(self, application: Any) -> None:
        self.application = application

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Any:
        if environ.get("HTTP_X_GOOG_IF_GENERATION_MATCH") == "0":
            environ["HTTP_IF_NONE_MATCH"] = "*"
        return self.application(environ | {"HTTP_AUTHORIZATION": LOGIN}, start_response)


@contextmanager
def s3(_: Path) -> Iterator[Environment]:
    with moto() as address:
        make_bucket(address, "maps")
        yield s3_variables(address)


@contextmanager
def gs(folder: Path) -> Iterator[Environment]:
    with moto(GoogleAsS3) as address:
        make_bucket(address, "maps")
        nobody = {"client_email": "", "private_key": "", "private_key_id": ""}
        account = folder / "account.json"
        account.write_text(json.dumps({"gcs_base_url": address, "disable_oauth": True, **nobody}))
        yield {"GOOGLE_SERVICE_ACCOUNT": str(account), "GOOGLE_ALLOW_HTTP": "true"}


@contextmanager
def az(folder: Path) -> Iterator[Environment]:
    program = shutil.which("azurite-blob") or pytest.skip("needs azurite: npm install --global azurite")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [program, "--silent", "--disableTelemetry", "--skipApiVersionCheck", "--blobPort", str(port)]
    server = subprocess.Popen(
        [*command, "--location", str(folder)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        wait_until(lambda: answers(port))
        address = f"http://127.0.0.1:{port}/{ACCOUNT}"
        _make_container(address)
        yield {
            "AZURE_STORAGE_ACCOUNT_NAME": ACCOUNT,
            "AZURE_STORAGE_ACCOUNT_KEY": KEY,
            "AZURE_STORAGE_ENDPOINT": address,
            "AZURE_ALLOW_HTTP": "true",
        }
    finally:
        server.kill()
        server.wait()


def _make_container(address: str) -> None:
    date, version = formatdate(usegmt=True), "2021-08-06"
    said = f"x-ms-date:{date}\nx-ms-version:{version}\n/{ACCOUNT}/{ACCOUNT}/maps\nrestype:container"
    signed = hmac.new(base64.b64decode(KEY), ("PUT" + "\n" * 12 + said).encode(), hashlib.sha256).digest()
    headers = {"x-ms-date": date, "x-ms-version": version, "Content-Length": "0"}
    headers["Authorization"] = f"SharedKey {ACCOUNT}:{base64.b64encode(signed).decode()}"
    asked = urllib.request.Request(f"{address}/maps?restype=container", method="PUT", headers=headers)
    urllib.request.urlopen(asked).close()


def answers(port: int) -> bool:
    """Whether somebody listens on a port of this machine."""
    with suppress(OSError), socket.create_connection(("127.0.0.1", port)):
        return True
    return False


@pytest.fixture(scope="module", params=[s3, gs, az], ids=["s3", "gs", "az"])
def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[str, Environment]]:
    with request.param(tmp_path_factory.mktemp("server")) as environment:
        yield request.param.__name__, environment


@pytest.fixture
def bucket(server: tuple[str, Environment], request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """An address of a place of its own in the bucket, which the usual variables lead to."""
    kind, environment = server
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    return f"{kind}://maps/{kind}/{request.node.originalname}/"  # moto's servers have one memory


@pytest.fixture
def tiles(tmp_path: Path) -> Path:
    folder = tmp_path / "map"
    for name in ("3/1/2.png", "3/1/3.avif", "2/0/1.png", "index.html"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(name.encode())
    (folder / "tilejson.json").write_text(json.dumps({"tilejson": "3.0.0", "geo2map": {}}))
    (folder / ".geo2map.journal").write_bytes(b"digests of all tiles")
    return folder


def names(bucket: str) -> set[str]:
    store, prefix = open_bucket(bucket)
    return {item["path"].removeprefix(prefix) for item in list_objects(store, prefix)}


def test_a_folder_lands_whole(bucket: str, tiles: Path) -> None:
    upload_output(tiles, bucket)
    assert names(bucket) == {"3/1/2.png", "3/1/3.avif", "2/0/1.png", "index.html", "tilejson.json"}
    store, prefix = open_bucket(bucket)
    found = store.get(f"{prefix}3/1/2.png")
    assert bytes(found.bytes()) == b"3/1/2.png"
    assert found.attributes["Content-Type"] == "image/png"
    assert "max-age" in found.attributes["Cache-Control"]
    with pytest.raises(OutputError, match="exists already"):
        upload_output(tiles, bucket)
    (tiles / "3/1/3.avif").unlink()
    upload_output(tiles, bucket, overwrite=True)
    assert names(bucket) == {"3/1/2.png", "2/0/1.png", "index.html", "tilejson.json"}


def put_later(store: Any, name: str, data: bytes, other: str) -> None:
    """Writes an object so that its time, in whole seconds, is after another's."""

    def is_later() -> bool:
        store.put(name, data)
        return bool(store.head(name)["last_modified"] > store.head(other)["last_modified"])

    wait_until(is_later)


def wait_for_the_next_second() -> None:
    started = int(time.time())
    wait_until(lambda: int(time.time()) > started)


def test_a_file_goes_in_parts(bucket: str, tmp_path: Path) -> None:
    (tmp_path / "m.pmtiles").write_bytes(bytes(range(256)) * 2**16)  # 16 MiB: four parts
    upload_output(tmp_path / "m.pmtiles", f"{bucket}m.pmtiles")
    store, prefix = open_bucket(bucket)
    assert bytes(store.get_range(f"{prefix}m.pmtiles", start=2**23 + 5, length=4)) == bytes((5, 6, 7, 8))
    assert store.head(f"{prefix}m.pmtiles")["size"] == 2**24
    assert names(bucket) == {"m.pmtiles"}


def test_a_stopped_upload_goes_on(bucket: str, tiles: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where a bucket does not tell an object's MD5: what is younger than the lock of these bytes is of them."""
    whole, sent = uploads._windowed, []

    def stopped(*arguments: Any) -> Iterator[None]:
        wait_for_the_next_second()
        yield from whole(*arguments)
        raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(uploads, "_windowed", stopped)
        with pytest.raises(KeyboardInterrupt):
            upload_output(tiles, bucket)
    assert "tilejson.json" not in names(bucket)
    monkeypatch.setattr(uploads, "object_attributes", lambda name, _="": sent.append(name) or {})
    upload_output(tiles, bucket)
    assert sent == ["tilejson.json"]
    assert names(bucket) == {"3/1/2.png", "3/1/3.avif", "2/0/1.png", "index.html", "tilejson.json"}


def test_what_is_older_than_the_lock_is_sent_again(bucket: str, tiles: Path) -> None:
    """Another output's tile of the same size, from before."""
    upload_output(tiles, bucket)
    (tiles / "3/1/2.png").write_bytes(b"3/1/2.PNG")
    (tiles / ".geo2map.journal").write_bytes(b"other digests")
    store, prefix = open_bucket(bucket)
    put_later(store, f"{prefix}.geo2map.lock", uploads._identity(tiles).encode(), f"{prefix}3/1/2.png")
    upload_output(tiles, bucket, overwrite=True)
    assert bytes(store.get(f"{prefix}3/1/2.png").bytes()) == b"3/1/2.PNG"


def test_without_a_journal_nobody_knows_whose_a_tile_is(bucket: str, tiles: Path) -> None:
    (tiles / ".geo2map.journal").unlink()
    store, prefix = open_bucket(bucket)
    store.put(f"{prefix}.geo2map.lock", uploads._identity(tiles).encode())
    put_later(store, f"{prefix}3/1/2.png", b"3/1/2.PNG", f"{prefix}.geo2map.lock")
    upload_output(tiles, bucket)
    assert bytes(store.get(f"{prefix}3/1/2.png").bytes()) == b"3/1/2.png"


def test_who_comes_late_does_not_replace_what_was_finished_meanwhile(
    bucket: str, tiles: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another writer ends between this one's look and its lock."""

    def late(store: Any, lock: str, identity: str, address: str) -> bool:
        store.put(lock.removesuffix(".geo2map.lock") + "tilejson.json", b"another's")
        return take_lock(store, lock, identity, address)

    monkeypatch.setattr(uploads, "take_lock", late)
    with pytest.raises(OutputError, match="exists already"):
        upload_output(tiles, bucket)
    assert names(bucket) == {"tilejson.json"}


def test_two_writers_do_not_mix(bucket: str, tiles: Path) -> None:
    store, prefix = open_bucket(bucket)
    store.put(f"{prefix}.geo2map.lock", b"another")
    with pytest.raises(OutputError, match="locked by another run"):
        upload_output(tiles, bucket)
    assert names(bucket) == {".geo2map.lock"}


def test_a_bucket_that_is_not_there(bucket: str, tiles: Path) -> None:
    with pytest.raises(OutputError, match=r"nowhere/map/: the bucket does not exist; create it, or fix"):
        upload_output(tiles, f"{bucket.split(':')[0]}://nowhere/map/")
    with pytest.raises(OutputError, match=r"\w+://nowhere/m\.html: the bucket does not exist"):
        upload_output(tiles / "index.html", f"{bucket.split(':')[0]}://nowhere/m.html")
