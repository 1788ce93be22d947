"""Series on disk: missing, surplus, spread over folders, instances twice."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from crlm_qc.model.finding import RELEASE, Found, Kind, Subject
from crlm_qc.model.fitness import NOTHING, Spoils
from crlm_qc.model.severity import ERROR, INFO
from crlm_qc.model.words import agree, listed, plural
from crlm_qc.rulebook.context import Context
from crlm_qc.rulebook.rule import Checked, Skip, rule
from crlm_qc.rules.rel._shared import DOWNLOADER, MANY_FOLDERS, images_of, of_others
from crlm_qc.subjects.columns import kept
from crlm_qc.subjects.disk import elsewhere
from crlm_qc.subjects.ledger import MODALITY, State, told, told_unknown
from crlm_qc.subjects.words import commonest, file_names, folder_of, folder_subject, text


@rule(
    "REL006",
    "sop-instance-twice",
    ERROR,
    title="One SOP Instance UID in two files",
    why="The UID names one image in the world: archives keep only one of the two files, and references become ambiguous.",
    fix="Remove the copy; if the images differ, give one of them a UID of its own and mend what refers to it.",
    source="DICOM PS3.3 C.12.1.1.1 (SOP Instance UID), PS3.5 9",
    tables=("files",),
    spoils=Spoils(out=("segmentation", "volumetry", "image-values"), care=("sharing",)),
)
def sop_instance_twice(context: Context) -> Checked:
    """Every DICOM file with a SOP Instance UID."""
    files = context["files"]
    named = files["sop_instance_uid"].notna()
    # In the order of paths, copies after originals, also where names are no longer in them.
    twice = kept(files, named & files["sop_instance_uid"].duplicated(keep=False))
    cases = [
        _Twice(
            str(uid),
            rows["path"].tolist(),
            text(rows["patient"].iloc[-1]),
            bool(rows["copy_of"].iloc[1:].notna().all()),
        )
        for uid, rows in twice.groupby("sop_instance_uid", sort=False)
    ]
    groups: dict[tuple[str, ...], list[_Twice]] = {}
    for case in cases:
        groups.setdefault(case.places, []).append(case)
    if len(groups) > MANY_FOLDERS:
        groups = {(): cases}
    return Checked(int(named.sum()), [_found_twice(context, places, group) for places, group in groups.items()])


@dataclass(frozen=True)
class _Twice:
    """A SOP Instance UID in several files."""

    uid: str
    paths: list[str]
    patient: str | None
    same_bytes: bool

    @property
    def folders(self) -> tuple[str, ...]:
        """The folders that the files lie in."""
        return tuple(dict.fromkeys(map(folder_of, self.paths)))

    @property
    def places(self) -> tuple[str, ...]:
        """The same without what they end in alike: of a download that lies there twice, the folders of the two."""
        if len(self.folders) == 1:
            return self.folders
        parts = [folder.split("/") for folder in self.folders]
        alike = 0
        while all(len(one) > alike for one in parts) and len({one[-1 - alike] for one in parts}) == 1:
            alike += 1
        return tuple("/".join(one[: len(one) - alike]) for one in parts)


def _found_twice(context: Context, places: tuple[str, ...], cases: list[_Twice]) -> Found:
    """One finding of all SOP Instance UIDs that lie twice in the same places."""
    show = context.show.path
    first = cases[0]
    examples = tuple(listed([show(path) for path in case.paths], joint=" = ") for case in cases)
    same = sum(case.same_bytes for case in cases)
    if len(cases) == 1:
        alike = ", byte for byte the same" if same else ""
        subject = Subject(Kind.FILE, show(first.paths[-1]), context.show.uid(first.uid))
        message = f"One SOP Instance UID is in {len(first.paths)} files{alike}: {listed(list(map(show, first.paths)))}."
    else:
        folders = {case.folders for case in cases}
        patients = {case.patient for case in cases}
        alike = f" ({same} of them byte for byte the same)" if same else ""
        alike = ", byte for byte the same," if same == len(cases) else alike
        where = listed([show(one) if one else "the top folder" for one in places])
        if places:
            subject = folder_subject(context, places[-1] if len(folders) > 1 else first.folders[-1])
        else:
            subject, where = RELEASE, plural(len({folder for case in cases for folder in case.folders}), "folder")
        files = "two" if all(len(case.paths) == 2 for case in cases) else "several"
        whose = f" of {plural(len(patients), 'patient')}" if len(patients) > 1 else ""
        message = f"{len(cases)} SOP Instance UIDs{whose} are in {files} files each{alike} in {where}."
        if len(patients) > 1:
            first = replace(first, patient=None)
    observed = f"{sum(len(case.paths) for case in cases)} files"
    return Found(subject, message, "one file a SOP Instance UID", observed, first.patient, len(cases), examples)


def _unread_folders(context: Context) -> Counter[str]:
    """Patients with folders that hold no readable image, but unreadable files or broken links: each may be the series that is missing."""
    files = context["files"]
    unread = files[((files["kind"] == "unreadable") | (files["problem"] == "link-broken")) & files["patient"].notna()]
    if unread.empty:
        return Counter()
    readable = set(images_of(context)["folder"].dropna())
    folders = {(row["patient"], row["folder"]) for row in unread.to_dict("records") if row["folder"] not in readable}
    return Counter(patient for patient, _ in folders)


@rule(
    "REL008",
    "series-missing",
    ERROR,
    title="A patient without CT series or without segmentation object",
    why="Each patient has one of each; a mask without its CT, or a CT without masks, can't be used as described. A series whose files are all unreadable is REL004's, one in an archive REL025's.",
    fix="Fetch the missing series, or take the patient out of the release.",
    source="published description: one CT series and one segmentation object a patient",
    tables=("patients", "series", "files"),
    spoils=Spoils(
        out=("segmentation", "volumetry", "lesion-counts", "image-values", "clinical-pairing", "completeness")
    ),
)
def series_missing(context: Context) -> Checked:
    """Every patient folder; of published series LED001 tells."""
    patients, series = context["patients"], context["series"]
    if series.empty and len(patients):
        raise Skip("no image was audited, as REL020 tells")
    there = {(row["patient"], row["role"]) for row in series.to_dict("records")}
    published = {
        (one.patient, one.modality) for one in map(context.profile.ledger.get, told(context, State.ABSENT)) if one
    }
    unread, hidden = _unread_folders(context), elsewhere(context["files"])
    others = Counter(of_others(context)["patient"])
    findings = []
    once = patients.drop_duplicates("patient")
    for patient, folder in zip(once["patient"], once["folder"], strict=True):
        lacking = [
            words
            for role, words in (("ct", "CT series"), ("dso", "segmentation object"))
            if (patient, role) not in there and (patient, MODALITY[role]) not in published
        ]
        if lacking and unread[patient] < len(lacking) and patient not in hidden:
            subject = Subject(Kind.PATIENT, path=context.show.path(folder))
            message = f"{patient} has no {' and no '.join(lacking)}."
            if count := others[patient]:
                message += f" {plural(count, 'object')} of others {agree(count, 'lies', 'lie')} there (REL023)."
            findings.append(
                Found(
                    subject,
                    message,
                    "one CT series and one segmentation object",
                    f"no {', no '.join(lacking)}",
                    patient,
                )
            )
    return Checked(len(once), findings)


@rule(
    "REL009",
    "series-surplus",
    ERROR,
    title="A patient with more than one CT series or segmentation object",
    why="Nothing says which of them counts, and tools take either. Series mixed in one folder are REL014's, copies REL006's.",
    fix="Keep the series that the segmentation refers to and take the other out.",
    source="published description: series a patient",
    tables=("patients", "series", "files"),
    spoils=Spoils(
        out=("segmentation", "volumetry", "lesion-counts", "image-values"), care=("clinical-pairing", "completeness")
    ),
)
def series_surplus(context: Context) -> Checked:
    """Every patient folder; CT series that were not published are LED004's."""
    images = images_of(context)
    images = kept(images, images["patient"].notna())
    images = kept(images, (images["kind"] != "ct") | ~images["series_uid"].isin(list(told_unknown(context))))
    images = kept(images, images["sop_instance_uid"].isna() | ~images["sop_instance_uid"].duplicated())
    # Who has no more files of a kind than there may be series, or no more series, has none too many.
    units = images["series_uid"].fillna("").where(images["kind"] == "ct", images["path"])
    counted = images[["patient", "kind"]].assign(unit=units).drop_duplicates().groupby(["patient", "kind"]).size()
    most = context.profile.published.series_per_patient
    several = [patient for (patient, role), count in counted.items() if count > most["CT" if role == "ct" else "SEG"]]
    images = kept(images, images["patient"].isin(several))
    words: dict[str, list[str]] = {}
    counts: Counter[str] = Counter()
    folders: dict[str, list[str]] = {}
    for (patient, role), rows in images.groupby(["patient", "kind"], sort=True):
        # A folder that mixes series counts once; a segmentation object is one file.
        units = rows["path"] if role == "dso" else _merged(rows)
        count = int(units.nunique())
        if count > most["CT" if role == "ct" else "SEG"]:
            what = "CT series" if role == "ct" else "segmentation objects"
            words.setdefault(str(patient), []).append(f"{count} {what}")
            counts[str(patient)] += count
            folders.setdefault(str(patient), []).extend(rows["folder"].dropna().unique())
    findings = []
    for patient, observed in words.items():
        shown = [context.show.path(folder) for folder in folders[patient]]
        message = f"{patient} has {' and '.join(observed)}: {listed(shown)}."
        expected = "one CT series and one segmentation object"
        findings.append(
            Found(Subject(Kind.PATIENT), message, expected, ", ".join(observed), patient, counts[patient], tuple(shown))
        )
    return Checked(int(context["patients"]["patient"].nunique()), findings)


@rule(
    "REL023",
    "objects-of-others",
    INFO,
    title="Objects of others lie beside the published ones",
    why="Archives hand out what others made of the images, such as segmentations by AI, together with the collection. It was not published with it, and is not audited: no other rule, figure or picture is about it.",
    fix="Nothing, or leave it out of the download. --all-objects audits it as if it were published.",
    source="release profile, [[others]]: Modality, SeriesDescription, Manufacturer and root of the Series Instance UID",
    tables=("files", "series"),
    spoils=NOTHING,
)
def objects_of_others(context: Context) -> Checked:
    """Objects that the profile tells apart; where there are no others, REL020 speaks of them."""
    if not context.profile.others:
        raise Skip("the profile knows no objects of others")
    found = of_others(context)
    if found.empty or context["series"].empty:
        return Checked(len(images_of(context)))
    names = Counter(map(str, found["others"]))
    said = [f"{names[one]:,} {one}" for one in dict.fromkeys(one.name for one in context.profile.others) if names[one]]
    whose = {str(patient) for patient in found["patient"].fillna(found["patient_id"]).dropna()}
    patients = sorted(filter(context.profile.is_patient_id, whose))
    message = (
        f"{plural(len(found), 'object')} of others {agree(len(found), 'lies', 'lie')} beside the published ones, "
        f"in {plural(len(patients), 'patient')}: {'; '.join(said) or 'of another profile'}. "
        f"{agree(len(found), 'It was', 'They were')} not audited; --all-objects audits {agree(len(found), 'it', 'them')} too."
    )
    observed = plural(len(found), "object")
    return Checked(
        len(found), [Found(RELEASE, message, "published objects alone", observed, None, len(found), tuple(patients))]
    )


def _merged(rows: Any) -> Any:
    """A name for each image's series, series that share a folder taken as one."""
    series = rows["series_uid"].fillna("")
    leader: dict[str, str] = {}

    def find(name: str) -> str:
        while leader.setdefault(name, name) != name:
            name = leader[name]
        return name

    for uid, folder in sorted(set(zip(series, rows["folder"].fillna(""), strict=True))):
        leader[find("series " + uid)] = find("folder " + folder)
    return series.map(lambda uid: find("series " + uid))


@rule(
    "REL014",
    "series-spread-or-mixed",
    ERROR,
    title="One series in several folders, or several series in one folder",
    why="People and tools take a folder for a series: they load half of it, or two series as one. Rules on stacks leave the smaller series of a mixed folder alone.",
    fix="Give each series one folder of its own.",
    source=DOWNLOADER,
    tables=("files",),
    spoils=Spoils(out=("segmentation", "volumetry", "image-values"), care=("lesion-counts",)),
)
def series_spread_or_mixed(context: Context) -> Checked:
    """Every series and every folder that holds images."""
    images = images_of(context)
    images = kept(images, images["series_uid"].notna())
    # A folder that holds nothing but copies is REL006's.
    originals = kept(images, images["sop_instance_uid"].isna() | ~images["sop_instance_uid"].duplicated())
    # Where series share folders by the way of a downloader, headers told them apart.
    mixed = () if context.evidence.facts.layout == "flat" else _mixed(context, originals)
    findings = [*_spread(context, originals), *mixed]
    return Checked(int(originals["series_uid"].nunique()), findings)


def _whole_somewhere(files: Any) -> bool:
    """Whether one folder holds a whole series, so that what lies elsewhere are copies (REL006)."""
    held = files.groupby(files["folder"].fillna(""))["sop_instance_uid"].nunique()
    return bool(files["sop_instance_uid"].notna().all() and held.max() == files["sop_instance_uid"].nunique())


def _with_several(images: Any, one: str, other: str) -> Any:
    """Images with a value of a column beside which another column has several."""
    firsts, seconds = (images[name].fillna("").tolist() for name in (one, other))
    counts = Counter(first for first, _ in set(zip(firsts, seconds, strict=True)))
    if not counts or max(counts.values()) == 1:
        return images.iloc[:0]
    return images[[counts[first] > 1 for first in firsts]]


def _spread(context: Context, images: Any) -> Iterator[Found]:
    images = _with_several(images, "series_uid", "folder")
    if images.empty:
        return
    every = images_of(context).groupby("series_uid").groups
    for (patient, uid), rows in images.groupby(["patient", "series_uid"], dropna=False, sort=True):
        if rows["folder"].nunique() > 1 and _whole_somewhere(context["files"].loc[every[uid]]):
            continue
        counts = rows["folder"].fillna("").value_counts().sort_index()
        if len(counts) > 1:
            folders = [
                f"{context.show.path(folder or '.')} ({plural(count, 'file')})" for folder, count in counts.items()
            ]
            subject = Subject(Kind.SERIES, path=context.show.path(counts.idxmax() or "."), uid=context.show.uid(uid))
            message = f"The series lies in {len(counts)} folders: {listed(folders)}."
            yield Found(
                subject, message, "one folder", f"{len(counts)} folders", text(patient), len(counts), tuple(folders)
            )


def _mixed(context: Context, images: Any) -> Iterator[Found]:
    images = _with_several(images, "folder", "series_uid")
    for folder, rows in images.groupby(images["folder"].fillna(""), sort=True):
        counts = Counter(rows["series_uid"])
        if len(counts) > 1:
            smaller = rows[rows["series_uid"] != commonest(counts)]
            names = file_names(context, smaller["path"])
            message = (
                f"The folder holds {len(counts)} series; {plural(len(smaller), 'file')} "
                f"{agree(len(smaller), 'does', 'do')} not belong to the largest: {listed(names)}."
            )
            yield Found(
                folder_subject(context, str(folder)),
                message,
                "one series",
                f"{len(counts)} series",
                text(rows["patient"].iloc[0]),
                len(counts),
                tuple(names),
            )
