"""Plans: a value that decides every pixel of an output, what a user may choose of it, and how the rest is decided."""

from geo2map.plan.make import (
    choose_margin,
    choose_rendition,
    choose_zoom,
    make_plan,
    plan_window,
)
from geo2map.plan.options import PlanOptions
from geo2map.plan.value import Plan

__all__ = [
    "Plan",
    "PlanOptions",
    "choose_margin",
    "choose_rendition",
    "choose_zoom",
    "make_plan",
    "plan_window",
]
