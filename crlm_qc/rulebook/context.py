"""What a check may look at."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial, wraps
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
        object.__setattr__(self, "show", Show(self.profile, places, partial(_content, self)))

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


GATHERED: dict[str, Callable[[Context], list[Any]]] = {}
"""Functions under `gathered`, by their names."""


def gathered(work: Callable[[Context], list[T]]) -> Callable[[Context], list[T]]:
    """As `once`, of a function whose list on a release is made of its lists on the parts that patients are judged in.

    So a rule that must see the release may use what takes rows of frames or slices, which are not held for all of it.
    """
    GATHERED[f"{work.__module__}.{work.__qualname__}"] = work
    return once(work)


def gather(context: Context) -> dict[str, list[Any]]:
    """What all functions under `gathered` give of a part of a release, by their names."""
    return {name: work(context) for name, work in GATHERED.items()}


def provide(context: Context, found: Iterable[Mapping[str, list[Any]]]) -> None:
    """Give a context of a release what its parts gave, so that it is not worked out of tables that lack rows."""
    parts = list(found)
    for name, work in GATHERED.items():
        context.worked_out[work, (), frozenset()] = [one for part in parts for one in part[name]]


def _content(context: Context, path: str) -> str | None:
    return _contents(context)(path)


@once
def _contents(context: Context) -> Callable[[str], str | None]:
    """What tells which series or image of its patient a file or folder of images is.

    A patient's one CT series is `CT`, the one segmentation object `SEG`; of several a UID says which, if it may be shown.
    """
    files, show = context["files"], context.show
    folders, paths, instances = (files[name].tolist() for name in ("folder", "path", "sop_instance_uid"))
    series, of_folder = _series(files)
    found: dict[str, str] = {}
    images: dict[str, tuple[str, int]] = {}
    for (_, kind), own in series.items():
        word = "CT" if kind == "ct" else "SEG"
        for uid, places in own.items():
            name = word if len(own) == 1 else f"{word}/{uid}"
            if len(own) > 1 and show.uid(uid) != uid:
                continue
            if len({folders[place] for place in places if isinstance(folders[place], str)}) == 1:
                found[folders[places[0]] or "."] = name
            if len(places) == 1:
                found[paths[places[0]]] = name
            else:
                images |= {paths[place]: (name, place) for place in places}
    # What holds several series is none of them.
    for folder, uids in of_folder.items():
        if len(uids) > 1:
            found.pop(folder or ".", None)

    def content(path: str) -> str | None:
        if path not in images:
            return found.get(path)
        name, place = images[path]
        instance = instances[place]
        return f"{name}/{instance}" if isinstance(instance, str) and show.uid(instance) == instance else None

    return content


def _series(files: Any) -> tuple[dict[tuple[str, str], dict[str, list[int]]], dict[str, set[str]]]:
    """Places of images by patient and kind, and by series; and the series of each folder."""
    columns = [files[name].tolist() for name in ("kind", "patient", "series_uid", "folder")]
    series: dict[tuple[str, str], dict[str, list[int]]] = {}
    of_folder: dict[str, set[str]] = {}
    for place, (kind, patient, uid, folder) in enumerate(zip(*columns, strict=True)):
        if kind in ("ct", "dso") and isinstance(patient, str) and isinstance(uid, str):
            series.setdefault((patient, kind), {}).setdefault(uid, []).append(place)
            if isinstance(folder, str):
                of_folder.setdefault(folder, set()).add(uid)
    return series, of_folder
