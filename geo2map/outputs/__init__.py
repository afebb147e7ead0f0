"""Outputs: where rendered tiles go. Which kind is chosen by the look of the path."""

from geo2map.outputs.complete import find_complete
from geo2map.outputs.containers import CONTAINERS, Container, find_container
from geo2map.outputs.opening import (
    OutputOptions,
    check_output,
    clean_output,
    end_publishing,
    open_output,
    open_update,
)
from geo2map.outputs.output import Output

__all__ = [
    "CONTAINERS",
    "Container",
    "Output",
    "OutputOptions",
    "check_output",
    "clean_output",
    "end_publishing",
    "find_complete",
    "find_container",
    "open_output",
    "open_update",
]
