"""Objects that others made of the collection's images, and that archives hand out beside the published ones."""

from __future__ import annotations

from crlm_qc.collection.profile import SEG, Profile
from crlm_qc.evidence.ct import Row
from crlm_qc.evidence.dicom.header import Header
from crlm_qc.evidence.dicom.values import text


def of_others(header: Header, profile: Profile) -> Row:
    """What `files` holds of an object of others; nothing for any other file.

    Parameters
    ----------
    header : Header
        Its header.
    profile : Profile
        The collection's profile. All of the keys that it tells such objects by must agree, and no UID of the object may
        be the collection's: what only claims to be of others, or to be published, is audited.

    Returns
    -------
    dict
        Kind, name and identity, as far as the object can be counted and its series known.
    """
    modality = text(header.data, "Modality") or ""
    if all(one.modality != modality for one in profile.others):
        return {}
    values = {
        key: text(header.data, keyword) or ""
        for key, keyword in (
            ("series_description", "SeriesDescription"),
            ("manufacturer", "Manufacturer"),
            ("series_uid", "SeriesInstanceUID"),
            ("sop_instance_uid", "SOPInstanceUID"),
            ("sop_class_uid", "SOPClassUID"),
            ("patient_id", "PatientID"),
        )
    }
    if any(_is_under(values[key], profile.uid_root) for key in ("series_uid", "sop_instance_uid")):
        return {}
    is_seg = profile.sop_classes.get(values["sop_class_uid"]) == SEG
    for one in profile.others:
        if (
            modality == one.modality
            and (one.modality == SEG) == is_seg
            and one.series_description.fullmatch(values["series_description"])
            and values["manufacturer"] == one.manufacturer
            and _is_under(values["series_uid"], one.uid_root)
        ):
            return {
                "kind": "other-object",
                "others": one.name,
                "modality": modality,
                **{key: values[key] for key in ("series_uid", "patient_id")},
            }
    return {}


def _is_under(uid: str, root: str) -> bool:
    return uid.startswith(f"{root}.")
