"""Documents for viewing a tile set: web page, QGIS layers and styles, provenance, legend."""
