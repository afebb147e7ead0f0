"""Takes the picture of the viewer for the documentation: `python docs/picture_viewer.py TILES/ docs/viewer.png`."""

from __future__ import annotations

import sys
from io import BytesIO
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright

QUIET = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]

if __name__ == "__main__":
    tiles, picture = Path(sys.argv[1]), Path(sys.argv[2])
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=QUIET)
        page = browser.new_page(viewport={"width": 1000, "height": 620})
        page.goto((tiles / "index.html").resolve().as_uri())
        for _ in range(2):
            page.wait_for_timeout(800)
            page.locator(".leaflet-control-zoom-in").click()
        page.wait_for_timeout(2000)
        shown = Image.open(BytesIO(page.screenshot())).convert("RGB")
        shown.quantize(256, dither=Image.Dither.NONE).save(picture, optimize=True)
        browser.close()
