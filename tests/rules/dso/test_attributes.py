"""DSO035 to DSO038: what the object must hold, and what it says of itself."""

import json

import pytest
from support.frames import PATIENTS, Case, clean, flat, only, uid

from crlm_qc.collection.profile import Profile

P1, _ = PATIENTS
FILE = "1-1.dcm"
LIVER, TUMOUR = 1, 2


@pytest.fixture
def case() -> Case:
    return clean()


def test_what_is_missing_is_named_with_its_type(case: Case, profile: Profile) -> None:
    missing = {"ContentLabel": 1, "SegmentAlgorithmName": 2, "SegmentAlgorithmType": 1, "SliceThickness": 3}
    case.dso()["missing"] = json.dumps(missing)
    assert flat(case, profile) == [("DSO035", P1, FILE)]
    found = only(case, "DSO035", profile)
    assert found.count == 4
    assert found.message == (
        "ContentLabel (type 1), SegmentAlgorithmName (type 1C) of all segments, SegmentAlgorithmType (type 1) of "
        "1 segment, SliceThickness (type 1C) of 3 frames are missing."
    )


@pytest.mark.parametrize("said", ["NO", "YES", "UNDEFINED", None])
def test_segments_that_overlap(case: Case, profile: Profile, said: str | None) -> None:
    case.dso()["segments_overlap"] = said
    assert flat(case, profile) == [("DSO036", P1, "SegmentsOverlap")] * (said == "NO")
    if said == "NO":
        message = only(case, "DSO036", profile).message
        assert message.startswith("SegmentsOverlap is NO, and 1 pair of segments shares voxels: Liver and Tumor_1 (")


def test_segments_that_do_not_overlap(case: Case, profile: Profile) -> None:
    case.dso()["segments_overlap"] = "NO"
    case.drop("segment_pairs", lambda row: row["patient"] != P1)
    assert "DSO036" not in {code for code, *_ in flat(case, profile)}


def test_frames_elsewhere_make_no_overlap(case: Case, profile: Profile) -> None:
    case.dso()["segments_overlap"] = "NO"
    for frame in case.frames(TUMOUR):
        frame["position_z"] += 10
    assert "DSO036" not in {code for code, *_ in flat(case, profile)}


def test_an_instance_listed_twice(case: Case, profile: Profile) -> None:
    listed = [row for row in case.of("references") if row["level"] == "instance"]
    case["references"] += [dict(row) for row in listed[:7]]
    assert flat(case, profile) == [("DSO037", P1, "ReferencedInstanceSequence")]
    found = only(case, "DSO037", profile)
    assert (found.count, len(found.examples)) == (7, 5)
    assert "7 instances stand more than once" in found.message


def test_a_source_image_of_several_frames_is_listed_once(case: Case, profile: Profile) -> None:
    frames = case.of("frames")
    assert len({row["source_uid"] for row in frames}) < len(frames)
    assert flat(case, profile) == []


@pytest.mark.parametrize(
    ("column", "other", "keyword"),
    [
        ("sop_instance_uid", "series_uid", "SOPInstanceUID"),
        ("sop_instance_uid", "study_uid", "SOPInstanceUID"),
        ("sop_instance_uid", "frame_of_reference_uid", "SOPInstanceUID"),
        ("series_uid", "study_uid", "SeriesInstanceUID"),
    ],
)
def test_a_uid_of_two_things(case: Case, profile: Profile, column: str, other: str, keyword: str) -> None:
    file = next(row for row in case.of("files") if row["kind"] == "dso")
    for row in (case.dso(), file):
        row[column] = row[other]
    file["meta_sop_instance_uid"] = file["sop_instance_uid"]
    found = [one for one in flat(case, profile) if one[0] == "DSO038"]
    assert found == [("DSO038", P1, keyword)]


def test_a_series_named_like_a_slice(case: Case, profile: Profile) -> None:
    file = next(row for row in case.of("files") if row["kind"] == "dso")
    for row in (case.dso(), file):
        row["series_uid"] = uid(1, 5, 3)
    assert "SOPInstanceUID too" in only(case, "DSO038", profile).message
