"""Whether an output is whole, true and seamless."""

from geo2map.check.find import check
from geo2map.check.findings import CheckReport, Problem

__all__ = ["CheckReport", "Problem", "check"]
