"""The ledger: the record of what is done of an output, until it is complete and published."""

from geo2map.ledger.complete import find_complete
from geo2map.ledger.opening import (
    OutputOptions,
    check_output,
    clean_output,
    end_publishing,
    open_output,
    open_update,
)
from geo2map.ledger.output import Output

__all__ = [
    "Output",
    "OutputOptions",
    "check_output",
    "clean_output",
    "end_publishing",
    "find_complete",
    "open_output",
    "open_update",
]
