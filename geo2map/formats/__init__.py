"""Output formats: writers, readers and sidecar documents, chosen by path suffix."""

from geo2map.formats.containers import CONTAINERS, Container, find_container

__all__ = ["CONTAINERS", "Container", "find_container"]
