"""Shards on a Dask cluster that loses workers, and its driver."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import textwrap
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from affine import Affine

distributed = pytest.importorskip("distributed", reason="needs the extra [dask]")
psutil = pytest.importorskip("psutil", reason="comes with distributed")

from distributed.client import FutureCancelledError  # noqa: E402

import geo2map.api  # noqa: E402
from geo2map.cluster import (  # noqa: E402
    JobFile,
    PartFolder,
    ShardRecord,
    merge_parts,
    plan_job,
    render_shard,
    window,
)
from geo2map.cluster import dask as driver  # noqa: E402
from geo2map.cluster.local import local_cluster, visible_gpus  # noqa: E402
from geo2map.errors import DeviceError, OutputError, PlanError, SceneError  # noqa: E402
from geo2map.plan import Shard  # noqa: E402
from geo2map.testing import make_card  # noqa: E402
from geo2map.threads import Budget, available_threads  # noqa: E402

CARD = make_card(name="cut", margin=0, size_multiple=1)
CUT = {"zoom": 17, "block_span": 1, "match": "none"}


@pytest.fixture
def scene(tmp_path: Path) -> Path:
    """Some 4 x 4 tiles."""
    pixels = np.random.default_rng(0).integers(1, 255, (3, 30, 30), dtype=np.uint8).repeat(25, 1).repeat(25, 2)
    profile = {"driver": "GTiff", "width": 750, "height": 750, "count": 3, "dtype": "uint8", "nodata": 0}
    matrix = Affine(0.9, 0, 590_000, 0, -0.9, 4_510_000)
    with rasterio.open(tmp_path / "s.tif", "w", **profile, crs="EPSG:32618", transform=matrix) as dataset:
        dataset.write(pixels)
    return tmp_path / "s.tif"


@pytest.fixture
def order(scene: Path) -> JobFile:
    return plan_job(scene, model=None, card=CARD, shard_zoom=17, **CUT)


@pytest.fixture(scope="module")
def four() -> Iterator[Any]:
    """A client of four worker processes, or as many as are left of them."""
    cluster, _ = local_cluster("local:4", "cpu")
    with cluster, distributed.Client(cluster, set_as_default=False) as client:
        client.wait_for_workers(4)
        yield client


@pytest.mark.slow
def test_workers_of_this_machine_keep_their_memory_and_their_share_and_are_not_watched(four: Any) -> None:
    def tell() -> tuple[str | None, bool, int]:
        import dask

        watched = dask.config.get("distributed.worker.profile.enabled")
        return os.environ.get("MALLOC_MMAP_THRESHOLD_"), watched, Budget.make().threads

    kept, share = os.environ.get("MALLOC_MMAP_THRESHOLD_", str(2**25)), max(1, available_threads() // 4)
    assert set(four.run(tell).values()) == {(kept, False, share)}


@pytest.mark.slow
def test_workers_of_this_machine_print_no_traceback_when_they_close(four: Any) -> None:
    """As they do on a busy machine, where nobody answers their last heartbeat."""
    shown = four.run(lambda: logging.getLogger("distributed.worker").isEnabledFor(logging.ERROR))
    assert set(shown.values()) == {False}


@pytest.mark.slow
def test_the_scheduler_here_keeps_no_record_of_every_task(four: Any) -> None:
    assert "spans" not in four.cluster.scheduler.extensions
    assert four.run(lambda dask_worker: "spans" in dask_worker.extensions) == dict.fromkeys(four.nthreads(), False)


@pytest.mark.slow
def test_four_workers_one_killed(four: Any, scene: Path, order: JobFile, tmp_path: Path) -> None:
    """kill -9 of a worker in the middle of its shard, once; every shard is recorded once, the archive is the same."""
    shards = list(order.shards())
    assert len(shards) >= 9
    victim, killed, parts = shards[4].name, tmp_path / "killed", tmp_path / "parts"

    def work(shard: Shard) -> ShardRecord:
        if shard.name == victim and not killed.exists():
            killed.write_text(str(os.getpid()))
            os.kill(os.getpid(), signal.SIGKILL)
        return render_shard(order, shard, parts)

    folder = PartFolder(parts)
    folder.adopt(order)
    driver.render_missing(four, work, folder, order)
    assert killed.exists()
    assert sorted(p.stem for p in parts.glob("*-*.json")) == sorted(shard.name for shard in shards)
    for name in ("m.pmtiles", "m.mbtiles"):
        geo2map.api.tile(scene, tmp_path / "whole" / name, card=CARD, **CUT)
        merge_parts(parts, tmp_path / name)
        assert (tmp_path / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


@pytest.mark.slow
def test_a_worker_with_a_broken_device_goes_home(order: JobFile, tmp_path: Path) -> None:
    parts, broken = tmp_path / "parts", tmp_path / "broken"

    def work(shard: Shard) -> ShardRecord:
        me = distributed.get_worker().address
        try:
            with broken.open("x") as file:
                file.write(me)
        except FileExistsError:
            pass
        if broken.read_text() in ("", me):
            raise DeviceError("device 'cuda' asked, but torch sees 0 CUDA devices")
        return render_shard(order, shard, parts)

    cluster, _ = local_cluster("local:2", "cpu")
    folder = PartFolder(parts)
    folder.adopt(order)
    with cluster, distributed.Client(cluster, set_as_default=False) as client:
        client.wait_for_workers(2)
        driver.render_missing(client, work, folder, order)
        assert not list(folder.missing(order))

        def none(shard: Shard) -> ShardRecord:  # noqa: ARG001
            raise DeviceError("no device at all")

        for path in parts.glob("*-*.json"):
            path.unlink()
        with pytest.raises(DeviceError, match="no worker is left; the last one failed with: no device at all"):
            driver.render_missing(client, none, folder, order)


@pytest.mark.slow
def test_a_scene_that_cannot_be_read_is_the_error_it_is(four: Any, order: JobFile, tmp_path: Path) -> None:
    def work(shard: Shard) -> ShardRecord:  # noqa: ARG001
        raise SceneError("s.tif is damaged: get it again", option="scenes")

    folder = PartFolder(tmp_path / "parts")
    folder.adopt(order)
    with pytest.raises(SceneError, match="damaged") as caught:
        driver.render_missing(four, work, folder, order)
    assert caught.value.option == "scenes"
    assert "run the same command again" in caught.value.__notes__[0]


@pytest.mark.slow
def test_a_killed_driver_goes_on(scene: Path, tmp_path: Path) -> None:
    """The driver is killed (-9) when the first shards are recorded; the second one renders only what is left."""
    out, whole = tmp_path / "m.pmtiles", tmp_path / "w.pmtiles"
    program = textwrap.dedent(f"""
        import sys
        from geo2map.cluster.dask import render_on
        from geo2map.testing import make_card
        def say(stage, done, total):
            print(stage, done, total, flush=True)
        if __name__ == "__main__":
            card = make_card(name="cut", margin=0, size_multiple=1)
            render_on({str(scene)!r}, {str(out)!r}, cluster="local:2", model=None, card=card, shard_zoom=17,
                      progress=say, **{CUT!r})
    """)
    (tmp_path / "drive.py").write_text(program)
    command = [sys.executable, str(tmp_path / "drive.py")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as first:
        assert first.stdout is not None
        for line in first.stdout:
            if line.startswith("shards 3 "):
                workers = psutil.Process(first.pid).children(recursive=True)
                first.kill()
                break
        psutil.wait_procs(workers, timeout=60)  # they end when they notice that their driver is gone
    assert not out.exists()
    parts = tmp_path / ".m.pmtiles.parts"
    kept = {path.name: path.stat().st_mtime_ns for path in parts.glob("*-*.json")}
    assert len(kept) >= 3
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    first_word, number, _ = done.stdout.split()[:3]
    assert first_word == "resumed"
    assert int(number) >= len(kept)
    geo2map.api.tile(scene, whole, card=CARD, **CUT)
    assert out.read_bytes() == whole.read_bytes()
    assert not parts.exists()


class FakeClient:
    """A cluster of four that does nothing, at once, and counts what is under way."""

    def __init__(self) -> None:
        self.open, self.most, self.submitted, self.released = 0, 0, 0, 0
        self.loop, self.dying, self.status, self.losing = None, 0, "running", 0

    def nthreads(self) -> dict[str, int]:
        return dict.fromkeys("abcd", 1)

    def wait_for_workers(self, count: int, timeout: float) -> None:
        pass

    def cancel(self, futures: list[Any], force: bool) -> None:  # noqa: ARG002
        assert force
        self.cancelled = True

    def submit(self, task: Any, work: Any, shard: Shard, **options: Any) -> _Done:  # noqa: ARG002
        assert options == {"pure": False, "retries": 0}
        self.open, self.submitted = self.open + 1, self.submitted + 1
        self.most = max(self.most, self.open)
        return _Done(self, shard)


class _Done:
    def __init__(self, client: FakeClient, shard: Shard) -> None:
        self._client, self._shard = client, shard

    def result(self) -> window.Outcome:
        if self._client.losing:
            self._client.losing -= 1
            raise FutureCancelledError("key", window.LOST)
        if self._client.dying:
            self._client.dying -= 1
            raise distributed.KilledWorker("task", None, 3)
        return window.Outcome(ShardRecord("f", self._shard.name, 0, 0, "", "", 0.0), "a")

    def release(self) -> None:
        self._client.open -= 1
        self._client.released += 1


class Completed(list):  # type: ignore[type-arg]
    """Futures that are done when they are asked for (a `distributed.as_completed`)."""

    def __init__(self, loop: object) -> None:  # noqa: ARG002
        super().__init__()

    add = list.append

    def __next__(self) -> Any:
        return self.pop(0)


@pytest.mark.parametrize(("deaths", "ends"), [(3, False), (4, True)])
def test_a_shard_is_given_out_again_three_times(monkeypatch: pytest.MonkeyPatch, deaths: int, ends: bool) -> None:
    monkeypatch.setattr(distributed, "as_completed", Completed)
    client = FakeClient()
    client.dying = deaths
    records = window.InFlightTasks(client, None).run(iter([Shard(20, 1, 1)]))  # type: ignore[arg-type]
    if ends:
        with pytest.raises(OutputError, match=r"20-1-1 has lost 4 workers"):
            list(records)
        assert client.cancelled
    else:
        assert [record.shard for record in records] == ["20-1-1"]
    assert client.released == client.submitted == 4


@pytest.mark.parametrize(("status", "ends"), [("running", False), ("closed", True)])
def test_a_scheduler_that_comes_back_is_told_again(monkeypatch: pytest.MonkeyPatch, status: str, ends: bool) -> None:
    """Tasks of a scheduler that went away are no deaths, however many; one that stays away ends the run."""
    monkeypatch.setattr(distributed, "as_completed", Completed)
    client = FakeClient()
    client.losing, client.status = 9, status
    records = window.InFlightTasks(client, None).run(iter([Shard(20, 1, 1)]))  # type: ignore[arg-type]
    if ends:
        with pytest.raises(OutputError, match="lost the Dask scheduler"):
            list(records)
        return
    assert [record.shard for record in records] == ["20-1-1"]
    assert client.submitted == 10


def test_the_window_stays_small_however_many_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    """20,000 shards: eight under way at most, each let go of, memory flat."""
    monkeypatch.setattr(distributed, "as_completed", Completed)
    client = FakeClient()
    tasks = window.InFlightTasks(client, None)  # type: ignore[arg-type]
    shards = (Shard(20, number >> 8, number & 255) for number in range(20_000))
    tracemalloc.start()
    sizes = []
    for number, _ in enumerate(tasks.run(shards), 1):
        if number % 5_000 == 0:
            sizes.append(tracemalloc.get_traced_memory()[0])
    tracemalloc.stop()
    assert client.submitted == client.released == 20_000
    assert client.most == window.PER_WORKER * 4
    assert sizes[-1] - sizes[0] < 150_000  # 15,000 records would be some megabytes


@pytest.mark.slow
def test_ctrl_c_cancels_and_keeps(four: Any, order: JobFile, tmp_path: Path) -> None:
    parts = tmp_path / "parts"
    folder = PartFolder(parts)
    folder.adopt(order)

    def stop(stage: str, done: int, total: int) -> None:  # noqa: ARG001
        if stage == "shards" and done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt) as caught:
        driver.render_missing(four, driver.ShardWork(parts, order.fingerprint), folder, order, stop)
    assert "run the same command again" in caught.value.__notes__[0]
    assert len(list(parts.glob("*-*.json"))) >= 2
    driver.render_missing(four, driver.ShardWork(parts, order.fingerprint), folder, order)
    assert not list(folder.missing(order))


def test_gpus_are_shared_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2,5")
    assert visible_gpus() == ["2", "5"]
    with pytest.raises(PlanError, match="local:N"):
        local_cluster("local:x", "cpu")


def test_without_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(PlanError, match=r'-e "\.\[dask\]"'):
        driver.require_dask()
