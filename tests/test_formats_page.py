"""docs/formats.md names the fields that the code writes, all of them and no others."""

from __future__ import annotations

import dataclasses
import json
import re
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from geo2map.api.batch_report import write_batch_report
from geo2map.cluster.jobfile import JobFile
from geo2map.cluster.parts import ShardRecord
from geo2map.grid import PixelWindow
from geo2map.ledger.schema import TABLES, WORKING
from geo2map.model import find_model, load_card
from geo2map.model.file import KEY
from geo2map.pairs.report import PairSet, Split
from geo2map.plan import Job, Plan, Storage
from geo2map.scene import View
from geo2map.scene.options import ReadingOptions
from geo2map.testing import fake_job
from geo2map.tiles.layer import LAYERS

PAGE = (Path(__file__).parents[1] / "docs" / "formats.md").read_text(encoding="utf-8")


PLAN = Plan(name="a", view=View(12), window=PixelWindow(0, 0, 256, 256), block_span=4, model="sat2map 0123456789ab")
LEGEND = (("land", (232, 228, 222)), ("road", (254, 254, 252)))


def section(title: str) -> str:
    """The text under a heading."""
    found = re.search(rf"(?ms)^## {re.escape(title)}\n(.*?)(?=^## |\Z)", PAGE)
    assert found, title
    return found[1]


def tables(title: str) -> list[set[str]]:
    """For each table of a section the names in its first column."""
    found: list[set[str]] = [set()]
    for line in section(title).splitlines():
        if line.startswith("|"):
            found[-1] |= set(re.findall(r"`([\w.]+)`", line.split("|")[1]))
        elif found[-1]:
            found.append(set())
    return [names for names in found if names]


def names_of(kind: Any) -> set[str]:
    return {field.name for field in dataclasses.fields(kind)}


def test_the_tables_of_a_journal() -> None:
    text = section("Journal")
    assert tables("Journal") == [set(TABLES)]
    assert all(f"`{name}`" in text for name in WORKING)
    with sqlite3.connect(":memory:") as database:
        for name, definition in TABLES.items():
            database.execute(f"CREATE TABLE {name} ({definition})")
            columns = {row[1] for row in database.execute(f"PRAGMA table_info({name})")}
            row = next(line for line in text.splitlines() if line.startswith(f"| `{name}`"))
            assert set(re.findall(r"`(\w+)`", row.split("|")[2])) == columns


def test_the_fields_of_a_job_and_a_plan() -> None:
    job, plan = tables("Job")
    assert job == names_of(Job)
    assert plan == names_of(Plan)
    text = section("Job")
    assert all(f"`{name}`" in text for name in names_of(ReadingOptions))
    assert all(f"`{name}`" in text for name in names_of(View))


def test_the_members_of_a_job_file_and_a_record() -> None:
    job_file = JobFile(job=fake_job(PLAN), scenes=("a.tif",), model=None, shard_zoom=10)
    assert tables("Job files, parts and records") == [json.loads(job_file.to_json()).keys() | {"sheets"}]
    assert all(f"`{name}`" in section("Job files, parts and records") for name in names_of(ShardRecord))


def test_the_fields_of_a_card() -> None:
    card = load_card(find_model("sat2map"))
    assert tables("Model card") == [set(json.loads(card.to_json()))]
    assert f"one entry, `{KEY}`" in section("Model card")


def test_the_members_of_pairs() -> None:
    (members,) = tables("Pairs")
    assert members == names_of(PairSet)
    assert all(f"`{name}`" in section("Pairs") for name in names_of(Split) - {"shares"})


@pytest.mark.parametrize(
    "storage",
    [
        Storage(minzoom=12),
        Storage(minzoom=12, layers=tuple(LAYERS), legend=LEGEND),
        Storage(minzoom=12, classes=True, legend=LEGEND),
        Storage(minzoom=12, vector=True, legend=LEGEND, style="dark"),
    ],
    ids=["plain", "layers", "classes", "features"],
)
def test_the_member_geo2map(storage: Storage) -> None:
    (members,) = tables("The member `geo2map`")
    job = dataclasses.replace(fake_job(PLAN), storage=storage, facts={"scenes": ["a"], "licence": "MIT"})
    tilesets = [job.tileset, *(job.tileset_of(layer) for layer in job.layers.values())]
    found = {name for tileset in tilesets for name in tileset.to_dict()["geo2map"]}
    assert {"window", "plan", "model", "scenes"} <= found <= members


def test_the_columns_of_a_report(tmp_path: Path) -> None:
    row = next(line for line in section("Other files").splitlines() if "`report.csv`" in line)
    header = write_batch_report(tmp_path, []).read_text(encoding="utf-8").strip()
    assert re.findall(r"`(\w+)`", row.split("|")[2]) == header.split(",")
