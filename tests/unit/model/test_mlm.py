"""STAC items of models: read by stac-model, true of the files that they name."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from geo2map.api.exporting import export_model
from geo2map.errors import OutputError
from geo2map.model import ModelDescription, find_model, packaged_models
from geo2map.model.mlm import mlm_item


@pytest.fixture(params=["sat2map", "sat2map-large", "map2sat"])
def exported(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Path, dict[str, Any]]:
    """A model beside its item."""
    model = tmp_path / "model.safetensors"
    shutil.copy(find_model(request.param), model)
    [item] = export_model(model, mlm=tmp_path / "model.json")
    return model, json.loads(item.read_text(encoding="utf-8"))


def test_stac_model_takes_the_item(exported: tuple[Path, dict[str, Any]]) -> None:
    pystac = pytest.importorskip("pystac", reason="needs stac-model, a referee")
    schema = pytest.importorskip("stac_model.schema", reason="needs stac-model, a referee")
    model, written = exported
    item = pystac.Item.from_dict(written)
    assert schema.MLModelExtension.has_extension(item)
    checked = schema.MLModelProperties(**written["properties"])
    card = ModelDescription.of(model).card
    assert (checked.name, checked.tasks) == (card.name, {"generative"})
    [taken], [made] = checked.input, checked.output
    assert taken.input.shape == [-1, 3 + card.noise, -1, -1]
    scaling = taken.value_scaling[0]
    assert [(level - scaling.mean) / scaling.stddev for level in (0, 255)] == [-1, 1]
    names = [entry.description for entry in made.classes] if made.classes else []
    assert names == ([name for name, _ in card.palette.entries] if card.palette else [])
    with pytest.raises(ValueError, match="architecture"):
        schema.MLModelProperties(**{**written["properties"], "mlm:architecture": ""})


def test_it_is_true_of_the_file(exported: tuple[Path, dict[str, Any]]) -> None:
    model, written = exported
    asset = written["assets"]["model"]
    assert (model.parent / asset["href"]).resolve() == model.resolve()
    data = model.read_bytes()
    assert (asset["file:size"], asset["file:checksum"]) == (len(data), f"1220{hashlib.sha256(data).hexdigest()}")
    assert "mlm:model" in asset["roles"]
    assert written["properties"]["mlm:total_parameters"] == ModelDescription.of(model).parameters


def test_the_same_model_has_the_same_item() -> None:
    for path in packaged_models().values():
        assert mlm_item(path) == mlm_item(path)


def test_one_form_at_least_and_nothing_is_replaced(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="at least one"):
        export_model("sat2map")
    item = tmp_path / "sat2map.json"
    item.write_text("mine", encoding="utf-8")
    with pytest.raises(OutputError, match="exists"):
        export_model("sat2map", mlm=item)
    assert item.read_text(encoding="utf-8") == "mine"
    export_model("sat2map", mlm=item, overwrite=True)
    assert json.loads(item.read_text(encoding="utf-8"))["type"] == "Feature"
