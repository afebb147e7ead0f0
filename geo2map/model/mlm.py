"""A model's card as an item of STAC's extension for machine learning models (MLM)."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from geo2map.files.plain_json import plain_json
from geo2map.model.description import ModelDescription

MLM_SCHEMA = "https://stac-extensions.github.io/mlm/v1.6.0/schema.json"
FILE_SCHEMA = "https://stac-extensions.github.io/file/v2.1.0/schema.json"
ALWAYS = {"start_datetime": "1900-01-01T00:00:00Z", "end_datetime": "9999-12-31T23:59:59Z"}
"""An item needs a time; when the training pictures were taken is not known."""
AXES = ("batch", "bands", "height", "width")
_SHA256 = "1220"
"""What a multihash of SHA-256 begins with."""


def mlm_item(model: Path, *, onnx: Path | None = None) -> dict[str, Any]:
    """The STAC item of a model file; holds no time and no path, so it belongs beside the files that it names.

    Args:
        onnx: the same model as an ONNX file, see `geo2map.engine.onnx`.

    Raises:
        ModelFileError: not a model file.
    """
    described = ModelDescription.of(model)
    card = described.card
    weights = _asset(model, "application/vnd.safetensors", "safetensors", "Weights, and the card in their metadata")
    weights["bands"] = [{"name": band} for band in card.bands]
    assets = {"model": weights}
    if onnx is not None:
        assets["onnx"] = _asset(onnx, "application/onnx", "onnx", "The network alone, for tiles of one size")
    return {
        "type": "Feature",
        "stac_version": "1.1.0",
        "stac_extensions": [MLM_SCHEMA, FILE_SCHEMA],
        "id": f"{card.name}-{card.fingerprint}",
        "geometry": None,
        "properties": _properties(described),
        "links": [],
        "assets": assets,
    }


def mlm_json(model: Path, *, onnx: Path | None = None) -> bytes:
    """`mlm_item` as a file's bytes."""
    return (plain_json(mlm_item(model, onnx=onnx), ensure_ascii=False, indent=2) + "\n").encode()


def _properties(described: ModelDescription) -> dict[str, Any]:
    card = described.card
    facts = {
        "datetime": None,
        **ALWAYS,
        "title": card.name,
        "description": card.limits or f"geo2map model {card.name}",
        "license": card.licence.split()[0].rstrip(",;:") if card.licence else "other",
        "gsd": card.ground_resolution,
        "mlm:name": card.name,
        "mlm:architecture": "U-Net" if card.architecture == "unet" else card.architecture,
        "mlm:tasks": ["generative"],
        "mlm:framework": "pytorch",
        "mlm:total_parameters": described.parameters,
        "mlm:pretrained": True,
        "mlm:pretrained_source": ", ".join(card.places) or None,
        "mlm:accelerator_constrained": False,
        "mlm:hyperparameters": {"config": card.config, "training": card.training, "metrics": card.metrics},
        "mlm:input": [_input(described)],
        "mlm:output": [_output(described)],
    }
    return {key: value for key, value in facts.items() if value is not None or key == "datetime"}


def _input(described: ModelDescription) -> dict[str, Any]:
    card = described.card
    shape = [-1, len(card.bands) + card.noise, -1, -1]
    return {
        "name": "imagery",
        "bands": list(card.bands),
        "description": f"Web-mercator near {card.ground_resolution:.3g} m per pixel; sides are multiples of "
        f"{card.size_multiple} px, and {card.margin} px on each side are context only",
        "input": {"shape": shape, "dim_order": list(AXES), "data_type": "float32"},
        "value_scaling": [{"type": "z-score", "mean": 127.5, "stddev": 127.5}],
        "pre_processing_function": None,
    }


def _output(described: ModelDescription) -> dict[str, Any]:
    card = described.card
    made: dict[str, Any] = {
        "name": "map" if card.direction == "a2b" else "imagery",
        "description": "Colours in [-1, 1]; 127.5 x (1 + value) is the grey level",
        "tasks": ["generative"],
        "bands": [],
        "result": {
            "shape": [-1, 3, -1, -1],
            "dim_order": list(AXES),
            "data_type": "float32",
        },
        "post_processing_function": None,
    }
    if card.palette is not None:
        made["classification:classes"] = [
            {"value": number, "name": name.replace(" ", "-"), "description": name, "color_hint": _hex(colour)}
            for number, (name, colour) in enumerate(card.palette.entries)
        ]
    return made


def _hex(colour: tuple[int, int, int]) -> str:
    return "".join(f"{level:02X}" for level in colour)


def _asset(path: Path, media_type: str, kind: str, title: str) -> dict[str, Any]:
    data = path.read_bytes()
    return {
        "href": f"./{path.name}",
        "title": title,
        "type": media_type,
        "roles": ["mlm:model", "mlm:weights", "data"],
        "mlm:artifact_type": kind,
        "file:size": len(data),
        "file:checksum": _SHA256 + hashlib.sha256(data).hexdigest(),
    }
