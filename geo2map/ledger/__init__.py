"""The ledger: records the progress of an output until it is complete and published."""

from geo2map.ledger.checks import OutputOptions, check_output
from geo2map.ledger.complete import find_complete
from geo2map.ledger.opening import clean_output, finish_publishing, open_output
from geo2map.ledger.output import Output
from geo2map.ledger.pending import Pending

__all__ = [
    "Output",
    "OutputOptions",
    "Pending",
    "check_output",
    "clean_output",
    "find_complete",
    "finish_publishing",
    "open_output",
]
