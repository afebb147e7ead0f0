"""A real QGIS without a screen: what it says of layers, and how it draws them.

PyQGIS belongs to the system's interpreter (Debian: python3-qgis), so it runs in a process of its own, `in_qgis.py`.
"""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest

PYTHON = "/usr/bin/python3"
SCRIPT = Path(__file__).with_name("in_qgis.py")


def run_apart(home: Path, *command: str, told: str = "") -> subprocess.CompletedProcess[str]:
    """A program of the system, without a screen, the user's QGIS settings or this virtual environment."""
    environment = {"PATH": os.defpath, "LC_ALL": "C.UTF-8", "HOME": str(home), "XDG_RUNTIME_DIR": str(home)}
    environment |= {"QT_QPA_PLATFORM": "offscreen", "QGIS_CUSTOM_CONFIG_PATH": str(home)}
    return subprocess.run(
        command,
        input=told,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        env=environment,
        cwd="/",
    )


def require_qgis(home: Path) -> None:
    """Skips the test where there is none."""
    if not Path(PYTHON).exists():
        pytest.skip(f"there is no {PYTHON}")
    if run_apart(home, PYTHON, "-c", "import qgis.core").returncode:
        pytest.skip(f"PyQGIS (Debian's python3-qgis) is not installed for {PYTHON}")


def ask_qgis(home: Path, asked: dict[str, Any]) -> dict[str, Any]:
    """What QGIS tells of layers, in one process; see `in_qgis.py` for what may be asked.

    Args:
        home: a folder for settings and caches.
    """
    ran = run_apart(home, PYTHON, str(SCRIPT), told=json.dumps(asked))
    assert ran.returncode == 0, ran.stderr
    return json.loads(ran.stdout.splitlines()[-1])  # type: ignore[no-any-return]


def drawn(path: Path | str) -> np.ndarray:
    """A picture that QGIS drew, int (H, W, 4)."""
    return np.array(PIL.Image.open(path).convert("RGBA")).astype(int)
