"""The disk against the ledger of published series. Sizes are those of the listing: no file is read for these rules."""

from __future__ import annotations

from collections.abc import Callable

from crlm_qc.model.finding import MAX_EXAMPLES, RELEASE, Found, Kind, Subject
from crlm_qc.model.fitness import Spoils
from crlm_qc.model.severity import ERROR, WARNING
from crlm_qc.model.words import are, listed, plural
from crlm_qc.rulebook.context import Context
from crlm_qc.rulebook.rule import Checked, Skip, rule
from crlm_qc.subjects.checksums import series_of_wrong_files
from crlm_qc.subjects.disk import OnDisk
from crlm_qc.subjects.ledger import Held, State, compared, modalities

LEDGER = "index of the archive: published series with their files and bytes"
TABLES = ("files", "patients")
AGAIN = "Fetch it again: crlm-qc fetch-list writes a manifest of what is to be fetched."


def _size(files: int, size: int) -> str:
    return f"{plural(files, 'file')}, {plural(size, 'byte')}"


def _named(one: Held) -> str:
    return f"{one.series.patient} {one.series.modality}"


def _tell(
    context: Context, state: State, said: Callable[[Held], str], several: str, observed: Callable[[Held], str]
) -> Checked:
    """A finding a series; of more than may be examples, one of all."""
    found = compared(context)
    named = series_of_wrong_files(context) if state is State.OTHER_BYTES and context.judges("REL022") else frozenset()
    cases = [one for one in found.of(state) if one.series.series_uid not in named]
    if len(cases) > MAX_EXAMPLES:
        names = tuple(map(_named, cases))
        message = f"{plural(len(cases), 'published series', 'published series')} {several}: {listed(names)}."
        observed_of = f"{len(cases)} of {len(found.held)} series"
        return Checked(len(found.held), [Found(RELEASE, message, "as published", observed_of, None, len(cases), names)])
    findings = [
        Found(
            Subject(
                Kind.SERIES,
                path=None if one.place is None else context.show.path(one.place.folder or "."),
                uid=one.series.series_uid,
            ),
            said(one),
            _size(one.series.files, one.series.size),
            observed(one),
            one.series.patient,
        )
        for one in cases
    ]
    return Checked(len(found.held), findings)


def _on_disk(one: Held) -> str:
    return _size(one.files, one.size)


@rule(
    "LED001",
    "published-series-absent",
    ERROR,
    title="A published series is not on disk",
    why="An unfinished download, or a series that was taken out: what is computed on the rest is not what others compute.",
    fix=AGAIN,
    source=LEDGER,
    tables=TABLES,
    spoils=Spoils(out=("segmentation", "volumetry", "lesion-counts", "image-values", "completeness")),
)
def series_absent(context: Context) -> Checked:
    """Every published series, but those of patients of whom nothing is there (LED007), those with another one in their place (LED005), and those that unreadable files may be (REL004)."""
    return _tell(
        context,
        State.ABSENT,
        lambda one: f"The published {one.series.modality} series is not on disk.",
        "are not on disk",
        lambda _: "none",
    )


@rule(
    "LED002",
    "published-files-missing",
    ERROR,
    title="A series has fewer files than published",
    why="Slices are missing: volumes come out too small, and masks have no image under them.",
    fix=AGAIN,
    source=LEDGER,
    tables=TABLES,
    spoils=Spoils(out=("segmentation", "volumetry", "completeness"), care=("lesion-counts", "image-values")),
)
def files_missing(context: Context) -> Checked:
    """Every published series on disk; copies of an instance count once, and files beside it that can't be read may be its own."""
    return _tell(
        context,
        State.FILES_MISSING,
        lambda one: f"{one.files:,} of {plural(one.series.files, 'published file')} {are(one.files)} on disk.",
        "have fewer files than published",
        _on_disk,
    )


@rule(
    "LED003",
    "published-bytes-differ",
    WARNING,
    title="A series has other bytes than published",
    why="With the right number of files, other bytes mean other files: edited, converted, or damaged on the way.",
    fix=AGAIN + " If the files were changed on purpose, accept it with a waiver.",
    source=LEDGER,
    tables=TABLES,
    spoils=Spoils(out=("completeness",), care=("segmentation", "volumetry", "lesion-counts", "image-values")),
)
def bytes_differ(context: Context) -> Checked:
    """Every published series with all of its files; one with a file that is cut or has bytes after its end is REL005's, and one with a file that is not the downloaded one REL022's."""
    return _tell(
        context,
        State.OTHER_BYTES,
        lambda one: f"The files of the series have {plural(one.size, 'byte')}, published are {one.series.size:,}.",
        "have as many files as published, and other bytes",
        _on_disk,
    )


@rule(
    "LED004",
    "series-not-published",
    WARNING,
    title="A series of the collection's patients was not published",
    why="A series of one's own, or of another release, among published ones ends up in what is computed on these.",
    fix="Keep it outside of the release.",
    source=LEDGER,
    tables=TABLES,
    spoils=Spoils(care=("completeness",)),
)
def series_unknown(context: Context) -> Checked:
    """Every series of a patient of the collection; further objects beside a published patient's own are REL009's."""
    found = compared(context)
    if len(found.unknown) > MAX_EXAMPLES:
        names = tuple(f"{one.patient} {' and '.join(modalities(one))}" for one in found.unknown)
        message = f"{plural(len(names), 'series', 'series')} on disk were not published: {listed(names)}."
        told = [Found(RELEASE, message, "published series", plural(len(names), "other"), None, len(names), names)]
    else:
        told = [_unknown(context, one) for one in found.unknown]
    return Checked(len(found.held) + len(found.unknown), told)


def _unknown(context: Context, one: OnDisk) -> Found:
    what = " and ".join(modalities(one))
    return Found(
        Subject(Kind.SERIES, path=context.show.path(one.folder or "."), uid=context.show.uid(one.uid)),
        f"This {what} series of {plural(one.n_files, 'file')} was not published.",
        "a published series",
        "another",
        one.patient,
    )


@rule(
    "LED005",
    "published-series-replaced",
    ERROR,
    title="Another series lies in the place of a published one",
    why="Same patient, same modality, another Series Instance UID: images or masks that nobody else has.",
    fix=AGAIN + " Keep the other one outside of the release.",
    source=LEDGER,
    tables=TABLES,
    spoils=Spoils(
        out=("completeness",), care=("segmentation", "volumetry", "lesion-counts", "image-values", "clinical-pairing")
    ),
)
def series_replaced(context: Context) -> Checked:
    """Every published series that is not on disk."""
    return _tell(
        context,
        State.REPLACED,
        lambda one: f"The published {one.series.modality} series is not on disk; another one lies in its place.",
        "are not on disk, and others lie in their place",
        lambda one: "another series" if one.place is None else plural(one.place.n_files, "file") + " of another series",
    )


@rule(
    "LED006",
    "published-files-surplus",
    WARNING,
    title="A series has more files than published",
    why="Slices that were not published take part in whatever is computed on the series.",
    fix="Take out the files that were added, or fetch the series again.",
    source=LEDGER,
    tables=TABLES,
    spoils=Spoils(care=("segmentation", "volumetry", "image-values", "completeness")),
)
def files_surplus(context: Context) -> Checked:
    """Every published series on disk; copies of an instance (REL006) count once."""
    return _tell(
        context,
        State.FILES_SURPLUS,
        lambda one: (
            f"{plural(one.files, 'file')} {are(one.files)} on disk, published {are(one.series.files)} {one.series.files:,}."
        ),
        "have more files than published",
        _on_disk,
    )


@rule(
    "LED007",
    "published-patient-absent",
    ERROR,
    title="Nothing of a published patient is on disk",
    why="An unfinished download: what is computed on the rest is not what others compute.",
    fix="Fetch the patients: crlm-qc fetch-list writes a manifest of them. Is a part meant to be audited, say so: --subset.",
    source=LEDGER,
    tables=TABLES,
    spoils=Spoils(out=("completeness",)),
)
def patient_absent(context: Context) -> Checked:
    """Every published patient, where the whole release is audited."""
    if context.settings.partial:
        raise Skip("only the patients that are there are asked for")
    found = compared(context)
    patients = {one.series.patient for one in found.held}
    absent = sorted(found.absent_patients)
    if not absent:
        return Checked(len(patients))
    nothing = f"{len(absent)} of {plural(len(patients), 'published patient')} {are(len(absent))} not on disk"
    observed = plural(len(patients) - len(absent), "patient")
    return Checked(
        len(patients),
        [
            Found(
                RELEASE,
                f"{nothing}: {listed(absent)}.",
                plural(len(patients), "patient"),
                observed,
                None,
                len(absent),
                tuple(absent),
            )
        ],
    )
