"""What a check may look at."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from crlm_qc.collection.places import Places
from crlm_qc.collection.profile import Profile
from crlm_qc.collection.show import Show
from crlm_qc.model.evidence import Evidence
from crlm_qc.model.settings import Settings
from crlm_qc.model.tolerances import Tolerances

T = TypeVar("T")


@dataclass(frozen=True)
class Context:
    """What a check may look at: tables, profile and settings; never a file."""

    evidence: Evidence
    profile: Profile
    settings: Settings = field(default_factory=Settings)
    show: Show = field(init=False)
    _memo: dict[Hashable, Any] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        """Make the one gate through which values are shown."""
        object.__setattr__(self, "show", Show(self.profile, self._places() if self.settings.redact_paths else None))

    def _places(self) -> Places:
        patients, files = self.evidence["patients"], self.evidence["files"]
        inside = files[files["patient"].notna() & files["folder"].notna()]
        return Places(
            dict(zip(patients["folder"], patients["patient"], strict=True)),
            list(zip(inside["folder"], inside["kind"], strict=True)),
        )

    def __getitem__(self, table: str) -> Any:
        """An evidence table (a `pandas.DataFrame`)."""
        return self.evidence[table]

    @property
    def tolerances(self) -> Tolerances:
        """The profile's tolerances."""
        return self.profile.tolerances

    def once(self, key: Hashable, make: Callable[[], T]) -> T:
        """A value that several rules share, made at the first call."""
        if key not in self._memo:
            self._memo[key] = make()
        value: T = self._memo[key]
        return value
