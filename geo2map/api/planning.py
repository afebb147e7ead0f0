"""The plan of a scene, by a model that is loaded only where samples have to show how far to match."""

from __future__ import annotations

from collections.abc import Sequence

from geo2map.api.models import ResolvedModel
from geo2map.ledger.complete import recorded_plan
from geo2map.pipeline.trial import choose_plan
from geo2map.plan import Plan, PlanOptions, make_plan
from geo2map.scene import Imagery
from geo2map.types import PathLike


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

    def trial(scene: Imagery, plans: Sequence[Plan]) -> int | None:
        known, recorded = [made(plan).fingerprint for plan in plans], None if out is None else recorded_plan(out)
        if recorded in known:
            return known.index(recorded)
        loaded = model.loaded
        return None if loaded is None else choose_plan(scene, plans, lambda: loaded)

    return made(make_plan(imagery, model.card, options, trial=trial))
