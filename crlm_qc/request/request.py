"""One request: what is to be audited, with what settings, and where everything lies."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from crlm_qc.model.errors import UsageError
from crlm_qc.model.settings import Depth, Settings
from crlm_qc.model.severity import Severity
from crlm_qc.report.writing import can_be_written
from crlm_qc.request.keys import OFF


@dataclass(frozen=True, slots=True)
class Parts:
    """Parts of the release that the user names, where they are not found by themselves."""

    metadata: Path | None = None
    clinical: Path | None = None
    manifest: Path | None = None


def keep_out(release: Path, places: Sequence[Path], instead: str = "a folder elsewhere: --out PATH") -> None:
    """Refuse places that lie in the release, which is never written to, or can't be written."""
    top = release.resolve()
    for place in places:
        if place.resolve().is_relative_to(top):
            raise UsageError(f"{place} lies in the release, which is never written to. Give {instead}")
    can_be_written(places)


def split_codes(given: Iterable[str] | None) -> tuple[str, ...]:
    """Codes that stand in one text or several, by comma or blank."""
    return tuple(code for part in given or () for code in part.replace(",", " ").split())


def listed_patients(given: Iterable[str] | None) -> tuple[str, ...]:
    """Patients by name, or one a line in a file: `@FILE`."""
    found: list[str] = []
    for part in given or ():
        listed = part
        if part.startswith("@"):
            try:
                listed = Path(part[1:]).read_text(encoding="utf-8-sig")
            except (OSError, UnicodeDecodeError):
                raise UsageError(f"--patients: {part[1:]} can't be read as a text file of patient IDs") from None
        found += listed.replace(",", " ").split()
        if not listed.strip(", \n\r\t"):
            raise UsageError(f"--patients {part} names no patient")
    return tuple(dict.fromkeys(found))


def settings_of(held: Mapping[str, Any]) -> Settings:
    """Settings from the values of the keys that hold."""
    levels = dict(held.get("severity", {}))
    off = tuple(code for code, level in levels.items() if level == OFF)
    return Settings(
        depth=Depth(held.get("depth", Depth.PIXELS)),
        subset=bool(held.get("subset")),
        select=_split(held.get("select", ())),
        ignore=(*_split(held.get("ignore", ())), *off),
        patients=_listed(held.get("patients", ())),
        severity={code: Severity(level) for code, level in levels.items() if level != OFF},
        known_issues=held.get("known-issues", True),
        tolerances=held.get("tolerances", {}),
        redact_paths=bool(held.get("redact-paths")),
    )


def _split(given: Sequence[str]) -> tuple[str, ...]:
    return tuple(word for part in given for word in part.replace(",", " ").split())


def _listed(given: Sequence[str]) -> tuple[str, ...]:
    """Patients, some of which a file may list."""
    try:
        lists = [Path(one[1:]).read_text(encoding="utf-8-sig") if one.startswith("@") else one for one in given]
    except (OSError, UnicodeDecodeError):
        raise UsageError("the list of patients can't be read as a text file of patient IDs") from None
    return tuple(dict.fromkeys(_split(lists)))


def outside(folder: Path, release: Path) -> Path:
    """The folder, if it does not lie in the release."""
    if folder.resolve().is_relative_to(release.resolve()):
        raise UsageError(f"{folder} lies in the release, which is never written to: give --crlm-evidence elsewhere")
    return folder
