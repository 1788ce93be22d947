"""UIDs that lead back to where the images were made."""

from __future__ import annotations

from collections.abc import Sequence

from crlm_qc.collection.forms import is_uid
from crlm_qc.model.finding import Found, Kind, Subject
from crlm_qc.model.fitness import Spoils
from crlm_qc.model.severity import INFO
from crlm_qc.model.words import listed, plural
from crlm_qc.rulebook.context import Context
from crlm_qc.rulebook.rule import Checked, Scope, rule
from crlm_qc.rules.did._shared import ANNEX

_UIDS = {
    "sop_instance_uid": "SOPInstanceUID",
    "series_uid": "SeriesInstanceUID",
    "study_uid": "StudyInstanceUID",
    "frame_of_reference_uid": "FrameOfReferenceUID",
}


@rule(
    "DID013",
    "uid-of-another-root",
    INFO,
    title="A UID outside the release's root",
    why="A UID that was not replaced leads to the image in the hospital's archive; one that was replaced otherwise breaks references between files.",
    fix="Replace the UID, and all references to it, by one under the release's root.",
    source=f"{ANNEX}: UIDs, action U; E.3.9 Retain UIDs Option",
    tables=("files",),
    scope=Scope.PATIENT,
    spoils=Spoils(care=("sharing",)),
)
def uid_of_another_root(context: Context) -> Checked:
    """SOP Instance, Series, Study and Frame of Reference UID of every file; malformed ones are REL016's."""
    import numpy as np

    root = context.profile.uid_root + "."
    every = context["files"]
    images = every["kind"].isin(["ct", "dso"])
    examined = int(images.sum())
    foreign = {
        column: {one for one in set(every[column][images]) if is_uid(one) and not one.startswith(root)}
        for column in _UIDS
    }
    if not any(foreign.values()):
        return Checked(examined)
    files = every[images]
    # Each UID is looked at once, and then the files of series with a foreign one.
    suspect = np.logical_or.reduce([files[column].isin(list(uids)) for column, uids in foreign.items()])
    files = files[files["series_uid"].fillna("").isin(files.loc[suspect, "series_uid"].fillna(""))]
    findings = []
    for (patient, uid), rows in files.groupby([files["patient"].fillna(""), files["series_uid"].fillna("")], sort=True):
        for column, keyword in _UIDS.items():
            strange = [one for one in rows[column] if one in foreign[column]]
            if strange:
                shown: Sequence[str] = sorted({context.show.uid(one) for one in strange})
                findings.append(
                    Found(
                        Subject(
                            Kind.SERIES,
                            context.show.path(str(rows["folder"].fillna("").min()) or "."),
                            context.show.uid(str(uid)),
                            column=keyword,
                        ),
                        f"{keyword} is not under the release's root in {len(strange):,} of {plural(len(rows), 'file')}.",
                        f"{root}{chr(0x2026)}",
                        listed(shown),
                        str(patient) or None,
                        len(strange),
                    )
                )
    return Checked(examined, findings)
