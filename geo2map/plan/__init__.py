"""Plans: values that decide every pixel of an output, their options, and their defaults."""

from geo2map.plan.job import Job
from geo2map.plan.make import (
    choose_margin,
    choose_rendition,
    choose_zoom,
    make_plan,
)
from geo2map.plan.options import PlanOptions
from geo2map.plan.shards import Shard
from geo2map.plan.storage import Storage
from geo2map.plan.value import Plan

__all__ = [
    "Job",
    "Plan",
    "PlanOptions",
    "Shard",
    "Storage",
    "choose_margin",
    "choose_rendition",
    "choose_zoom",
    "make_plan",
]
