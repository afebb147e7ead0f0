"""Where QGIS keeps plugins, and putting geo2map's there."""

from __future__ import annotations

import io
import json
import re
import shutil
import sys
import zipfile
from collections.abc import Mapping
from pathlib import Path

from geo2map.errors import OutputError, SetupError
from geo2map.files.atomic import output_errors, write_whole

PLUGIN = Path(__file__).parent / "qgis_plugin" / "geo2map"
"""The plugin's source; its name is that of its folder in a profile."""
VERSIONS = ("QGIS3", "QGIS4")
LEFT_OUT = ("__pycache__", "command.json")
EPOCH = (1980, 1, 1, 0, 0, 0)
"""Time of files in a ZIP, so that the same plugin has the same bytes."""


def find_profiles(environment: Mapping[str, str], home: Path, platform: str) -> list[Path]:
    """The default profiles of the QGIS versions that this user has started.

    Args:
        platform: see `sys.platform`.

    Raises:
        SetupError: there is none.
    """
    if platform == "win32":
        data = Path(environment.get("APPDATA", str(home / "AppData" / "Roaming")))
    elif platform == "darwin":
        data = home / "Library" / "Application Support"
    else:
        data = Path(environment.get("XDG_DATA_HOME") or home / ".local" / "share")
    found = [data / "QGIS" / version / "profiles" / "default" for version in VERSIONS]
    if not (there := [profile for profile in found if profile.is_dir()]):
        raise SetupError(
            f"{found[0]}: no profile of QGIS; start QGIS once, or name the folder that Settings > User Profiles > Open "
            "Active Profile Folder shows",
            option="profile",
        )
    return there


def install_plugin(profile: Path) -> Path:
    """Puts the plugin into a profile, in place of an earlier version, and enables it.

    Returns:
        The plugin's folder there.

    Raises:
        SetupError: there is no such profile.
        OutputError: it cannot be written, or another plugin has the name.
    """
    if not profile.is_dir():
        raise SetupError(f"{profile}: no profile of QGIS; check the path", option="profile")
    folder = profile / "python" / "plugins" / PLUGIN.name
    if folder.exists() and not (folder / "running.py").is_file():
        raise OutputError(f"{folder}: another plugin of this name; remove it, or choose another profile")
    with output_errors(folder):
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(PLUGIN, folder, ignore=shutil.ignore_patterns(*LEFT_OUT))
        write_whole(folder / "command.json", json.dumps([sys.executable, "-m", "geo2map_cli"]).encode())
        _enable(profile / "QGIS" / f"{_version(profile)}.ini")
    return folder


def _version(profile: Path) -> str:
    return next((version for version in VERSIONS if version in profile.parts), VERSIONS[0])


def _enable(settings: Path) -> None:
    """Sets geo2map=true in the section PythonPlugins; all other lines stay as they are."""
    before = settings.read_text(encoding="utf-8") if settings.is_file() else ""
    after = re.sub(r"(?m)^geo2map=.*\n?", "", before)
    section = "[PythonPlugins]\n"
    if section not in after:
        after += f"\n{section}" if after else section
    after = after.replace(section, f"{section}geo2map=true\n", 1)
    if after != before:
        settings.parent.mkdir(parents=True, exist_ok=True)
        write_whole(settings, after.encode())


def write_plugin_zip(path: Path) -> None:
    """Writes the file that plugins.qgis.org and "Install from ZIP" take: one folder, without this machine's paths.

    Raises:
        OutputError: it cannot be written.
    """
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(PLUGIN.rglob("*")):
            if file.is_file() and not set(file.relative_to(PLUGIN).parts) & set(LEFT_OUT):
                entry = zipfile.ZipInfo(f"{PLUGIN.name}/{file.relative_to(PLUGIN).as_posix()}", EPOCH)
                entry.external_attr = 0o644 << 16
                archive.writestr(entry, file.read_bytes(), zipfile.ZIP_DEFLATED)
    write_whole(path, packed.getvalue())
