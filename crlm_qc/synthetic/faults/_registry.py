"""Faults and their registry."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from crlm_qc.model.words import did_you_mean
from crlm_qc.synthetic.faults._site import Site
from crlm_qc.synthetic.release import EditionName, SyntheticRelease

Scope = Literal["patient", "release"]
Mutation = Callable[[Site], None]


@dataclass(frozen=True, slots=True)
class Fault:
    """One named mutation of a written release."""

    name: str
    triggers: tuple[str, ...]
    """Codes of every rule that rightly fires on it, and of no other."""
    doc: str
    """What is wrong with the release afterwards."""
    scope: Scope
    """Whether it is planted in one patient, or in the release as a whole."""
    mutate: Mutation = field(repr=False, compare=False)
    edition: EditionName | None = None
    """The edition of the workbook that it needs."""
    patients: int = 1
    """How many patients the release must have."""


REGISTERED: dict[str, Fault] = {}


def fault(
    name: str,
    *,
    triggers: tuple[str, ...],
    doc: str,
    scope: Scope = "patient",
    edition: EditionName | None = None,
    patients: int = 1,
) -> Callable[[Mutation], Mutation]:
    """Register the function below as a fault.

    Raises
    ------
    RuntimeError
        The name is taken.
    """

    def register(mutate: Mutation) -> Mutation:
        if name in REGISTERED:
            raise RuntimeError(f"two faults have the name {name}")
        REGISTERED[name] = Fault(name, triggers, doc, scope, mutate, edition, patients)
        return mutate

    return register


def plant(release: SyntheticRelease, spec: str) -> list[str]:
    """Plant a fault.

    Parameters
    ----------
    release : SyntheticRelease
        The release, which is changed on disk.
    spec : str
        `NAME`, or `NAME:PATIENT`. Without a patient it is the second one, or the first of just one.

    Returns
    -------
    list of str
        The files that were written, removed or moved (old and new path), relative to the root of the release.

    Raises
    ------
    ValueError
        There is no such fault or patient, or the patient or an earlier fault left nothing that it could be planted in; the
        message says which are close.
    """
    name, colon, patient = spec.partition(":")
    known = REGISTERED.get(name)
    if known is None:
        raise ValueError(f"unknown fault {name!r}{did_you_mean(name, REGISTERED)}")
    if colon and known.scope == "release":
        raise ValueError(f"fault {name} is about the release as a whole: leave out the patient")
    if colon and patient not in release.patients:
        raise ValueError(f"unknown patient {patient!r}{did_you_mean(patient, release.patients)}")
    if known.edition not in (None, release.edition):
        raise ValueError(f"fault {name} needs the workbook's edition {known.edition}")
    if len(release.patients) < known.patients:
        raise ValueError(f"fault {name} needs a release of {known.patients} patients or more")
    site = Site(release, patient or release.patients[min(1, len(release.patients) - 1)], name)
    try:
        known.mutate(site)
        return site.settle()
    except (ValueError, OSError):
        raise
    except Exception as error:
        # A fault finds what a clean release has; one that was planted before may have taken it away.
        raise ValueError(
            f"fault {name} can't be planted: another one has changed what it needs ({type(error).__name__})"
        ) from error
