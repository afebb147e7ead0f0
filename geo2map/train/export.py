"""From a training run to a model file."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from geo2map.colour import ColourStatistics
from geo2map.model import ModelCard, save_model
from geo2map.train.trainer import Trainer


def export(
    trainer: Trainer, path: Path, *, name: str, zoom: int, ground_resolution: float, facts: dict[str, Any] | None = None
) -> ModelCard:
    """Writes the averaged generator as a model file.

    Args:
        name: of the model.
        zoom, ground_resolution: of the pictures on disk, the latter in metres per pixel on the ground; the card
            says the network's own where the training resized them.
        facts: more fields of the card: metrics, licence, limits, training (added to what the run knows).

    Returns:
        The card as written, but for the hash of the weights.
    """
    config, facts, places = trainer.config, dict(facts or {}), trainer.pairs.places
    coarser = trainer.pairs.size / config.resize if config.resize else 1.0
    generator = trainer.exported()
    training = {
        "recipe": json.loads(config.to_json()),
        "pairs": len(trainer.pairs),
        "steps": trainer.step,
        **({"pairs_elsewhere": len(places)} if places else {}),
        **facts.pop("training", {}),
    }
    resolution = ground_resolution * coarser
    card = ModelCard(
        name=name,
        architecture=config.architecture,
        config=trainer.network,
        ground_resolution=resolution,
        zoom=max(0, round(zoom - math.log2(coarser))),
        margin=generator.margin,
        size_multiple=generator.size_multiple,
        colours=ColourStatistics.of(trainer.pairs.input_pixels),
        matching=trainer.pairs.matching,
        palette=trainer.pairs.palette if config.direction == "a2b" else None,
        places=(*facts.pop("places", ()), *(places.names if places else ())),
        resolutions=(round(resolution / config.scale_jitter, 3), round(resolution * config.scale_jitter, 3)),
        training=training,
        **facts,
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    save_model(path, generator.state_dict(), card)
    return card
