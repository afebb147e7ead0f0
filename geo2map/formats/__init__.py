"""Formats: kinds of output with their writers, readers and sidecar documents, chosen by the path's suffix."""

from geo2map.formats.containers import CONTAINERS, Container, find_container

__all__ = ["CONTAINERS", "Container", "find_container"]
