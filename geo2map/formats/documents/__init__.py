"""The files beside tiles that make a set open by itself: viewer page, QGIS layers and styles, provenance, legend."""
