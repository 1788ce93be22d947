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
        places = self._places() if self.settings.redact_paths else None
        object.__setattr__(self, "show", Show(self.profile, places, lambda path: _contents(self).get(path)))

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


@once
def _contents(context: Context) -> dict[str, str]:
    """Which series or image of its patient each file and folder of images is.

    A patient's one CT series is `CT`, the one segmentation object `SEG`; of several a UID says which, if it may be shown.
    """
    files, show = context["files"], context.show
    images = files[files["kind"].isin(["ct", "dso"]) & files["patient"].notna() & files["series_uid"].notna()]
    found: dict[str, str] = {}
    for (_, kind), rows in images.groupby(["patient", "kind"], sort=False):
        word = "CT" if kind == "ct" else "SEG"
        single = rows["series_uid"].nunique() == 1
        for uid, own in rows.groupby("series_uid", sort=False):
            name = word if single else f"{word}/{uid}"
            if not single and show.uid(uid) != uid:
                continue
            if own["folder"].nunique() == 1:
                found[own["folder"].iloc[0] or "."] = name
            for path, instance in zip(own["path"], own["sop_instance_uid"], strict=True):
                if len(own) == 1:
                    found[path] = name
                elif isinstance(instance, str) and show.uid(instance) == instance:
                    found[path] = f"{name}/{instance}"
    # What holds several series is none of them.
    series = images.groupby("folder")["series_uid"].nunique()
    for folder in series[series > 1].index:
        found.pop(str(folder) or ".", None)
    return found
