"""Files that the system does not give: what was asked for and not read is said, and never taken for a fault of the file."""

import errno
import io
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import pytest
from support.releases import small_profile, small_release

from crlm_qc.auditing.run import audit
from crlm_qc.collection.profile import Profile
from crlm_qc.evidence.source import Folder
from crlm_qc.model.report import ExitCode, Report
from crlm_qc.synthetic.release import SyntheticRelease

__all__ = ["small_profile"]


class Failing(io.BytesIO):
    """A file whose bytes from some place on the disk does not give."""

    def __init__(self, content: bytes, good: int) -> None:
        super().__init__(content)
        self.good = good

    def read(self, size: int | None = -1, /) -> bytes:
        wanted = len(self.getvalue()) - self.tell() if size is None or size < 0 else size
        if self.tell() + min(wanted, len(self.getvalue()) - self.tell()) > self.good:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return super().read(size)

    def readinto(self, room: Any, /) -> int:
        content = self.read(len(room))
        room[: len(content)] = content
        return len(content)


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> SyntheticRelease:
    return small_release(tmp_path_factory.mktemp("refused") / "release", patients=1)


@pytest.fixture
def audited(
    release: SyntheticRelease, small_profile: Profile, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Report]:
    opened = Folder.open

    def run(path: Path, *, code: int = errno.EIO, good: int | None = None) -> Report:
        def refuse(self: Folder, key: str) -> BinaryIO:
            if self.top / key != path:
                return opened(self, key)
            if good is None:
                raise OSError(code, os.strerror(code))
            return Failing(path.read_bytes(), good)

        monkeypatch.setattr(Folder, "open", refuse)
        monkeypatch.setattr(Folder, "is_listed", lambda *_: True)
        return audit(release.root, profile=small_profile, jobs=1)

    return run


def codes(report: Report) -> set[str]:
    return {found.rule for found in report.findings}


@pytest.mark.parametrize(
    ("part", "code"), [("metadata", errno.EACCES), ("workbook", errno.EIO), ("manifest", errno.EACCES)]
)
def test_a_table(release: SyntheticRelease, audited: Callable[..., Report], part: str, code: int) -> None:
    path: Any = getattr(release, part)
    report = audited(path, code=code)
    assert any(limit.endswith(f"was not read: {os.strerror(code).lower()}") for limit in report.limits)
    assert report.incomplete
    assert report.exit_code(None) == ExitCode.INCOMPLETE


@pytest.mark.parametrize("good", [None, 400])
def test_a_header(release: SyntheticRelease, audited: Callable[..., Report], good: int | None) -> None:
    patient = release.patients[0]
    report = audited(release.ct_files(patient)[0], good=good)
    assert report.limits == (f"{patient}: a file was not read: input/output error",)
    told = [found for found in report.findings if found.rule == "REL004"]
    assert [found.observed for found in told] == ["the disk did not give it (1)"]


def test_pixels(release: SyntheticRelease, audited: Callable[..., Report]) -> None:
    patient = release.patients[0]
    path = release.ct_files(patient)[0]
    report = audited(path, good=path.stat().st_size - 10)
    assert report.limits
    assert all("input/output error" in limit for limit in report.limits)
    assert not codes(report) & {"REL005", "CTS019"}
