"""Verification: is an output complete, intact and seamless?"""

from geo2map.checking.find import check
from geo2map.checking.findings import CheckReport, Problem

__all__ = ["CheckReport", "Problem", "check"]
