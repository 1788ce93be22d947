"""What a check may look at."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from functools import wraps
from typing import Any, Concatenate, ParamSpec, TypeVar

from crlm_qc.collection.places import Places
from crlm_qc.collection.profile import Profile
from crlm_qc.collection.show import Show
from crlm_qc.model.evidence import Evidence
from crlm_qc.model.settings import Settings
from crlm_qc.model.tolerances import Tolerances

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(frozen=True)
class Context:
    """What a check may look at: tables, profile and settings; never a file."""

    evidence: Evidence
    profile: Profile
    settings: Settings = field(default_factory=Settings)
    judged: frozenset[str] | None = None
    """Codes of the rules that are run; None for all."""
    show: Show = field(init=False)
    worked_out: dict[Hashable, Any] = field(default_factory=dict, init=False, repr=False, compare=False)
    """What functions under `once` gave, by function and arguments."""

    def __post_init__(self) -> None:
        """Make the one gate through which values are shown."""
        object.__setattr__(self, "show", Show(self.profile, self._places() if self.settings.redact_paths else None))

    def _places(self) -> Places:
        patients, files = self.evidence["patients"], self.evidence["files"]
        own = patients.drop_duplicates("folder", keep=False)
        inside = files[files["patient"].notna() & files["folder"].notna()]
        return Places(
            # A folder that patients share is none's.
            dict(zip(own["folder"], own["patient"], strict=True)),
            list(zip(inside["folder"], inside["kind"], strict=True)),
        )

    def __getitem__(self, table: str) -> Any:
        """An evidence table (a `pandas.DataFrame`)."""
        return self.evidence[table]

    def judges(self, code: str) -> bool:
        """Whether a rule is run, so that another one may leave to it what it tells."""
        return self.judged is None or code in self.judged

    @property
    def tolerances(self) -> Tolerances:
        """The profile's tolerances."""
        return self.profile.tolerances


def once(work: Callable[Concatenate[Context, P], T]) -> Callable[Concatenate[Context, P], T]:
    """Have a function worked out once for each context and arguments, however many rules ask for what it gives.

    Parameters
    ----------
    work : callable
        Takes a context, and arguments that are hashable. What it raises is not kept: the next call tries again.

    Returns
    -------
    callable
        The same function; every call with the same context and arguments gives the same object.
    """

    @wraps(work)
    def remembered(context: Context, /, *args: P.args, **kwargs: P.kwargs) -> T:
        key = (work, args, frozenset(kwargs.items()))
        if key not in context.worked_out:
            context.worked_out[key] = work(context, *args, **kwargs)
        value: T = context.worked_out[key]
        return value

    return remembered
