"""Whether an output is whole, true and seamless."""

from geo2map.outputs.check.find import check
from geo2map.outputs.check.findings import CheckReport, Problem

__all__ = ["CheckReport", "Problem", "check"]
