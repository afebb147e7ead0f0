"""Jobs: a scene, a plan and a model as the value that an output depends on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from geo2map.api.classes import require_scores, resolve_legend
from geo2map.api.gridding import resolve_grid
from geo2map.api.models import ModelLike, ResolvedModel, resolve_model
from geo2map.files.address import scene_name
from geo2map.model import ModelCard
from geo2map.plan import Job, Plan, Storage
from geo2map.plan.job import library_versions
from geo2map.scene import Imagery, ReadingOptions

if TYPE_CHECKING:
    from geo2map.engine import Engine


def make_job(
    scene: Imagery,
    plan: Plan,
    engine: ModelLike | ResolvedModel | None,
    *,
    storage: Storage | None = None,
    reading: ReadingOptions | None = None,
    facts: Mapping[str, Any] | None = None,
) -> Job:
    """The job of rendering a scene by a plan.

    Args:
        engine: the model that translates; None where tiles are only cut.
        storage: how tiles are stored; None takes the defaults.
        reading: how the scene was opened.
        facts: added to the output's document.
    """
    model = None if engine is None else resolve_model(engine)
    card = model.card if model is not None and model.translates else None
    stored, reading = resolve_legend(storage or Storage(), card), reading or ReadingOptions()
    require_scores(stored, card)
    return Job(
        scenes=scene.identities,
        reading=reading,
        plan=plan,
        storage=resolve_grid(stored, scene, plan, reading).resolve(plan),
        precision=model.precision if model else "",
        device=model.device if model else "",
        versions=library_versions(translating=card is not None),
        facts={**_facts(scene, card, stored), **(facts or {})},
    )


def on_engine(job: Job, engine: Engine | None) -> Job:
    """The job of a model that was only named, on the engine that has loaded it."""
    return job if engine is None else replace(job, precision=engine.precision, device=engine.device.type)


def _facts(scene: Imagery, card: ModelCard | None, storage: Storage) -> dict[str, Any]:
    """Facts for readers of the output: names of scenes, no paths, and the legend of the colours."""
    facts: dict[str, Any] = {"scenes": sorted({scene_name(identity.path) for identity in scene.identities})}
    if card is not None and card.palette is not None:
        facts["legend"] = [[name, list(colour)] for name, colour in card.palette.entries]
    if card is not None and storage.is_derived and card.licence:
        facts["licence"] = card.licence
    return facts
