"""The plan of a scene, by a model that is loaded only where samples have to show how far to match."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from geo2map.api.models import ResolvedModel
from geo2map.ledger.complete import recorded_plan
from geo2map.pipeline.trial import choose_plan
from geo2map.plan import Plan, PlanOptions, make_plan
from geo2map.scene import Imagery
from geo2map.types import PathLike

if TYPE_CHECKING:
    from geo2map.engine import Engine


def plan_with(model: ResolvedModel, imagery: Imagery, options: PlanOptions, *, out: PathLike | None = None) -> Plan:
    """The plan of an opened scene.

    Args:
        model: loaded where its card leaves open how far to match the scene.
        out: the output; what it or its journal records is not tried again.

    Raises:
        Geo2MapError: see `make_plan`, `choose_plan` and `ResolvedModel.loaded`.
    """

    def made(plan: Plan) -> Plan:
        return plan if model.translates else plan.untranslated()

    def load() -> Engine:
        assert model.loaded is not None, "a card alone is not tried"
        return model.loaded

    def trial(scene: Imagery, plans: Sequence[Plan]) -> int | None:
        known, recorded = [made(plan).fingerprint for plan in plans], None if out is None else recorded_plan(out)
        if recorded in known:
            return known.index(recorded)
        return None if model.is_card_alone else choose_plan(scene, plans, load)

    return made(make_plan(imagery, model.card, options, trial=trial))
