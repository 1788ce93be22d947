"""No false finding on real files: which findings come is listed to the last one, and each is shown to be a fact of those files.

The release is made of the reference folder: the CT of CRLM-CT-1004 as it was downloaded, the published workbook, its rows of
metadata.csv, and an object that highdicom writes for a liver that is really there. Then the object of dcmqi with its
images, and objects of highdicom, each as the only patient of a release.
"""

import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import highdicom as hd
import numpy as np
import openpyxl
import pydicom
import pytest
from scipy import ndimage
from support import real

from crlm_qc.auditing.run import audit
from crlm_qc.collection.profile import Profile
from crlm_qc.collection.reading import load_profile
from crlm_qc.evidence.collect import collect
from crlm_qc.evidence.source import Item
from crlm_qc.evidence.workbook.sheets import read_workbook
from crlm_qc.model.report import Report
from crlm_qc.model.settings import Depth, Settings
from crlm_qc.rules import registry

pytestmark = [
    pytest.mark.reference,
    # highdicom and pydicom warn of values that these files have.
    pytest.mark.filterwarnings("ignore"),
]
# The objects and the variants are made here: other bytes than those published, as a test of its own tells.
WITHOUT_LEDGER = replace(load_profile(), ledger={})
FACES = ndimage.generate_binary_structure(3, 1)
IDENTIFIERS = "DID"
"""What they say of these files is told apart: the object here was not de-identified by the archive."""

# What the workbook and metadata.csv give; each is proved below.
OF_THE_TABLES = [
    ("CLN010", "warning", "CRLM-CT-1103", "waived"),
    ("CLN010", "warning", "CRLM-CT-1145", "waived"),
    ("CLN010", "warning", "CRLM-CT-1187", "waived"),
    ("CLN015", "warning", "CRLM-CT-1196", ""),
    ("CLN021", "info", "CRLM-CT-1198", ""),
    # The row gives the size of the published object, which is not there.
    ("MET019", "warning", real.PATIENT, ""),
]


MASKS = Settings(subset=True, select=("SEG",))
"""The rules on what the masks lie on."""


def settings(depth: Depth = Depth.PIXELS) -> Settings:
    return Settings(subset=True, depth=depth)


def said(report: Report) -> list[tuple[str, str, str | None, str]]:
    return sorted(
        (one.rule, one.severity.value, one.patient, "waived" if one.waived else "")
        for one in report.findings
        if not one.rule.startswith(IDENTIFIERS)
    )


def messages(report: Report, code: str) -> list[str]:
    return [one.message for one in report.findings if one.rule == code]


@pytest.fixture(scope="module", autouse=True)
def the_workbook_is_read_once() -> Iterator[None]:
    """Its sheets have 16,585 rows, nearly all of them empty, and every release here has the same file."""
    read: dict[tuple[str, int], dict[str, list[dict[str, Any]]]] = {}

    def first(file: Item, profile: Profile) -> dict[str, list[dict[str, Any]]]:
        digest = file.digest()
        if digest not in read:
            read[digest] = read_workbook(file, profile)
        return {name: [dict(row) for row in rows] for name, rows in read[digest].items()}

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("crlm_qc.evidence.workbook.sheets.read_workbook", first)
        yield


@pytest.fixture(scope="module")
def release(reference: Path, tmp_path_factory: pytest.TempPathFactory) -> real.RealRelease:
    return real.assemble(reference, tmp_path_factory.mktemp("real") / "release")


@pytest.fixture(scope="module")
def evidence(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the audit of the release saves what it read."""
    return tmp_path_factory.mktemp("saved") / "evidence"


@pytest.fixture(scope="module")
def report(release: real.RealRelease, evidence: Path) -> Report:
    return audit(release.root, settings=settings(), profile=WITHOUT_LEDGER, jobs=1, evidence_to=evidence)


def test_a_real_patient_has_the_findings_of_its_tables_alone(release: real.RealRelease, report: Report) -> None:
    assert said(report) == OF_THE_TABLES
    assert report.counts["error"] == 0
    assert (report.verdict.value, report.limits, report.incomplete) == ("conformant", (), False)
    assert (report.release.layout, report.release.patients, report.release.series) == ("nbia", 1, 2)
    assert (report.release.workbook_edition, report.release.ct_slices) == ("October 2022", 41)


def test_a_real_patient_is_examined_by_every_rule_that_can(report: Report) -> None:
    """No pass is one over nothing, and what is skipped has a reason that holds for one patient of this edition."""
    skipped = {one.rule: one.reason for one in report.outcomes if one.status.value == "skipped"}
    whole = {item.code for item in registry() if item.whole_release}
    assert {code for code, reason in skipped.items() if reason == "only part of the release is audited"} == whole
    others = {code: reason for code, reason in skipped.items() if code not in whole}
    assert not [code for code in others if code.startswith(("MAN", "CTS", "DSO"))], others
    assert {code for code in others if code.startswith("SEG")} <= {"SEG006"}, others


def test_what_the_workbook_gives_are_facts(reference: Path) -> None:
    sheet = openpyxl.load_workbook(reference / real.WORKBOOK, data_only=True)["TCIA_n=197"]
    heading, *rows = sheet.iter_rows(values_only=True)
    table = [dict(zip(heading, row, strict=True)) for row in rows if row[0] is not None]
    parts = ("necrosis_percent", "fibrosis_percent", "mucin_percent")
    group = ("total_response_percent", *parts, "fibrosis_greater_40_percent")
    wrong, torn, fatty = [], [], []
    for row in table:
        values = [row[name] for name in group]
        if -999 not in values and abs(values[0] - sum(row[name] for name in parts)) > 0.001:
            wrong.append(row["Patient-ID"])
        if 0 < values.count(-999) < len(group):
            torn.append(row["Patient-ID"])
        if row["steatosis_yesno"] == 1 and row["NASH_score"] == 0:
            fatty.append(row["Patient-ID"])
    assert len(table) == 197
    assert wrong == ["CRLM-CT-1103", "CRLM-CT-1145", "CRLM-CT-1187"]
    assert (torn, fatty) == (["CRLM-CT-1196"], ["CRLM-CT-1198"])


def test_the_ledger_knows_the_real_series_to_the_byte(release: real.RealRelease) -> None:
    asked = Settings(subset=True, depth=Depth.HEADERS, select=("LED",))
    report = audit(release.root, settings=asked, jobs=1)
    assert report.wholeness is not None
    assert (report.wholeness.whole, report.wholeness.expected) == ({"CT": 1, "SEG": 0}, {"CT": 1, "SEG": 1})
    size = release.dso.stat().st_size
    assert messages(report, "LED003") == [f"The files of the series have {size:,} bytes, published are 4,307,324."]


def test_what_metadata_gives_is_a_fact(release: real.RealRelease, report: Report) -> None:
    (message,) = messages(report, "MET019")
    assert f"File Size is 4.31 MB, the files on disk hold {release.dso.stat().st_size:,} bytes" in message
    # The CT's row, whose files are the real ones, is right.
    assert sum(path.stat().st_size for path in release.ct.iterdir()) / 1e6 == pytest.approx(21.63, rel=0.01)


def test_what_is_measured_is_what_was_drawn(release: real.RealRelease, profile: Profile) -> None:
    """So the silence of the other rules is not that of an empty mask."""
    found = collect(release.root, profile, depth=Depth.PIXELS, jobs=1)
    rows = found["segments"].set_index("label")
    slices = sorted((pydicom.dcmread(path) for path in release.ct.iterdir()), key=lambda ds: ds.ImagePositionPatient[2])
    hu = np.stack([ds.pixel_array for ds in slices]) - 1024.0
    for label, mask in zip(real.LABELS, release.masks, strict=True):
        row = rows.loc[label]
        assert row["voxels"] == mask.sum() > 0
        assert row["volume_ml"] == pytest.approx(mask.sum() * 0.796875**2 * 5 / 1000)
        assert row["components"] == ndimage.label(mask, structure=FACES)[1]
        assert row["hu_median"] == np.median(hu[mask])
    assert 1000 < rows.loc["Liver", "volume_ml"] < 1600
    overlaps = {
        (row["segment_a"], row["segment_b"]): row["overlap_voxels"] for row in found["segment_pairs"].to_dict("records")
    }
    for one in range(len(real.LABELS)):
        for other in range(one + 1, len(real.LABELS)):
            shared = int((release.masks[one] & release.masks[other]).sum())
            assert overlaps.get((one + 1, other + 1), 0) == shared


@pytest.mark.parametrize("depth", [Depth.HEADERS, Depth.MASKS])
def test_a_shallower_audit_finds_no_more(release: real.RealRelease, depth: Depth) -> None:
    assert said(audit(release.root, settings=settings(depth), profile=WITHOUT_LEDGER, jobs=1)) == OF_THE_TABLES


@pytest.mark.parametrize(("layout", "windows"), [("nbia", True), ("card", False), ("card", True)])
def test_other_layouts_and_line_ends(reference: Path, tmp_path: Path, layout: str, windows: bool) -> None:
    made = real.assemble(reference, tmp_path / "release", layout=layout, windows=windows)
    report = audit(made.root, settings=settings(Depth.HEADERS), profile=WITHOUT_LEDGER, jobs=1)
    assert report.release.layout == layout
    assert said(report) == OF_THE_TABLES


def test_evidence_saved_is_judged_alike(report: Report, evidence: Path) -> None:
    again = audit(evidence, settings=settings(), profile=WITHOUT_LEDGER, jobs=1)
    assert [one.as_dict() for one in again.findings] == [one.as_dict() for one in report.findings]


# What a variant adds, and the words that show why it is right.
PRONE = {("CTS017", "info", "The patient lay prone")}
OBLIQUE = {("CTS006", "warning", "15 degrees from the patient's long axis")}
CUT = {
    ("CTS004", "warning", "The slices are 400 x 450, not 512 x 512"),
    # The row gives the size of whole images.
    ("MET019", "warning", "Line 3 of metadata.csv: File Size is 21.63 MB, the files on disk hold 14,890,872 bytes"),
}


@pytest.mark.parametrize(
    ("change", "added"),
    [
        pytest.param(real.prone, PRONE, id="prone"),
        pytest.param(real.tilted(5), set(), id="oblique by 5 degrees"),
        pytest.param(real.tilted(15), OBLIQUE, id="oblique by 15 degrees"),
        pytest.param(real.cropped, set(), id="cropped along z"),
        pytest.param(real.cut_in_plane, CUT, id="cut in the plane"),
    ],
)
def test_variants_of_the_real_ct(
    reference: Path, tmp_path: Path, change: real.Change, added: set[tuple[str, str, str]]
) -> None:
    made = real.assemble(reference, tmp_path / "release", change)
    report = audit(made.root, settings=settings(), profile=WITHOUT_LEDGER, jobs=1)
    assert said(report) == sorted(
        [*OF_THE_TABLES, *((code, severity, real.PATIENT, "") for code, severity, _ in added)]
    )
    for code, _, words in added:
        assert any(words in message for message in messages(report, code)), messages(report, code)


def moved(displace: Callable[[Any], Any]) -> real.Change:
    """Masks that do not lie where they were drawn."""
    return lambda slices, masks: (slices, displace(masks))


@pytest.mark.parametrize(
    ("displace", "codes"),
    [
        pytest.param(lambda masks: masks[..., ::-1], {"SEG011"}, id="mirrored"),
        pytest.param(lambda masks: np.roll(masks, 1, axis=1), {"SEG013"}, id="one slice up"),
        pytest.param(lambda masks: np.roll(masks, -3, axis=2), {"SEG013"}, id="three rows to the front"),
        pytest.param(lambda masks: np.roll(masks, 3, axis=1), {"SEG013"}, id="three slices up"),
        pytest.param(lambda masks: np.roll(masks, -20, axis=3), {"SEG013"}, id="20 columns aside"),
    ],
)
def test_silence_is_not_deafness(
    reference: Path, tmp_path: Path, displace: Callable[[Any], Any], codes: set[str]
) -> None:
    """The same release with its masks elsewhere: the rules that were silent on it speak."""
    made = real.assemble(reference, tmp_path / "release", moved(displace))
    report = audit(made.root, settings=MASKS, profile=WITHOUT_LEDGER, jobs=1)
    assert {one.rule for one in report.findings} == codes


def upside_down(slices: list[Any], masks: Any) -> tuple[list[Any], Any]:
    """Image and masks in reverse order, at the positions that there were."""
    for one, pixels in zip(slices, [one.PixelData for one in reversed(slices)], strict=True):
        one.PixelData = pixels
    return slices, masks[:, ::-1]


def test_image_and_masks_upside_down(reference: Path, tmp_path: Path) -> None:
    made = real.assemble(reference, tmp_path / "release", upside_down)
    report = audit(made.root, settings=MASKS, profile=WITHOUT_LEDGER, jobs=1)
    assert {one.rule for one in report.findings} == {"SEG022"}


# The objects of other software.

ALONE = [("REL001", "error", None), ("REL002", "error", None), ("REL003", "warning", None)]
"""There are no tables beside them."""
IMPLICIT = "1.2.840.10008.1.2"


def as_only_patient(reference: Path, root: Path, profile: Profile, *files: str) -> tuple[Path, Profile]:
    """Real files as the only patient of a release, in folders named after what is in them; and a profile for its Patient ID."""
    patient = str(pydicom.dcmread(reference / files[0], stop_before_pixels=True).PatientID)
    for name in files:
        ds = pydicom.dcmread(reference / name, stop_before_pixels=True)
        date = ds.StudyDate
        words = "".join(letter for letter in ds.get("StudyDescription", "") or "NA" if letter not in "/:")
        study = f"{date[4:6]}-{date[6:]}-{date[:4]}-{ds.StudyID or 'NA'}-{words}-{ds.StudyInstanceUID[-5:]}"
        words = "".join(letter for letter in ds.get("SeriesDescription", "") or "NA" if letter not in "/:")
        series = f"{int(ds.SeriesNumber)}.000000-{words}-{ds.SeriesInstanceUID[-5:]}"
        folder = root / real.COLLECTION / patient / study / series
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(reference / name, folder / f"1-{int(ds.InstanceNumber)}.dcm")
    return root, replace(profile, patient_id_pattern=re.compile(re.escape(patient)))


def short(report: Report) -> list[tuple[str, str, int | None]]:
    """Findings without those on tables that are not there."""
    found = [
        (one.rule, one.severity.value, one.subject.segment)
        for one in report.findings
        if not one.rule.startswith(IDENTIFIERS)
    ]
    rest = [one for one in found if one not in ALONE]
    assert len(found) == len(rest) + len(ALONE)
    return sorted(rest, key=lambda one: (one[0], one[2] or 0))


@pytest.fixture(scope="module")
def dcmqi(reference: Path, tmp_path_factory: pytest.TempPathFactory, profile: Profile) -> Report:
    files = ["dcmqi/liver.dcm", *(f"dcmqi/ct-3slice/0{number}.dcm" for number in (1, 2, 3))]
    root, its = as_only_patient(reference, tmp_path_factory.mktemp("dcmqi") / "release", profile, *files)
    return audit(root, settings=settings(), profile=its, jobs=1)


def test_the_pair_of_dcmqi(dcmqi: Report) -> None:
    assert short(dcmqi) == [
        ("CTS012", "info", None),
        ("CTS014", "warning", None),
        ("CTS020", "info", None),
        ("DSO025", "error", None),
        ("DSO028", "info", None),
        ("SEG001", "error", 1),
        ("SEG009", "info", 1),
        ("SEG017", "info", None),
        # Of three slices, the liver is on the first and on the last.
        ("SEG021", "warning", None),
    ]
    assert dcmqi.limits == ()
    passed = {one.rule for one in dcmqi.outcomes if one.status.value == "passed" and one.examined}
    # References and places hold, and it was looked at.
    assert {f"DSO0{number:02d}" for number in (*range(2, 18), 20, 21, 23)} <= passed
    assert {"CTS007", "CTS008", "CTS009", "CTS010", "CTS011", "SEG008", "SEG011"} <= passed


def test_what_is_said_of_the_pair_are_facts(reference: Path, dcmqi: Report) -> None:
    """Three noisy slices of a liver: an error is due where the collection promises a whole one."""
    slices = [pydicom.dcmread(reference / f"dcmqi/ct-3slice/0{number}.dcm") for number in (1, 2, 3)]
    gaps = np.diff([float(ds.ImagePositionPatient[2]) for ds in slices])
    assert np.abs(gaps) == pytest.approx(1.0)
    assert {float(ds.SliceThickness) for ds in slices} == {1.25}
    assert {ds.file_meta.TransferSyntaxUID for ds in slices} == {IMPLICIT}
    segmentation = hd.seg.segread(reference / "dcmqi/liver.dcm")
    (segment,) = segmentation.SegmentSequence
    assert segment.SegmentLabel == "Liver"
    assert segment.SegmentedPropertyTypeCodeSequence[0].CodingSchemeDesignator == "SRT"
    uids = [ds.SOPInstanceUID for ds in slices]
    mask = segmentation.get_pixels_by_source_instance(uids, ignore_spatial_locations=True)[..., 0].astype(bool)
    hu = np.stack([ds.pixel_array * float(ds.RescaleSlope) + float(ds.RescaleIntercept) for ds in slices])
    labels, _ = ndimage.label(mask, structure=FACES)
    sizes = np.bincount(labels.ravel())[1:]
    millilitres = mask.sum() * 0.810547**2 * 1.0 / 1000
    assert messages(dcmqi, "SEG001") == [f"The liver has {millilitres:.2f} mL."]
    assert messages(dcmqi, "SEG009") == [f"Liver has {(sizes < 10).sum()} components of under 10 voxels."]
    # Noise, and fat that the mask reaches into, are no other tissue: it lies on the liver.
    assert hu[mask].std() > 39
    assert messages(dcmqi, "SEG012") == []


UNKNOWN_LABEL = ("DSO024", "warning")
HIGHDICOM = {
    "binary": [
        ("DSO022", "warning", None),
        (*UNKNOWN_LABEL, 1),
        ("REL008", "error", None),
        ("SEG010", "warning", None),
    ],
    "binary_overlap": [
        ("DSO022", "warning", None),
        # Of both segments.
        (*UNKNOWN_LABEL, None),
        ("REL008", "error", None),
        # 4 voxels, 200 mm from its others.
        ("SEG009", "info", 2),
    ],
    "binary_fractional": [
        ("DSO022", "warning", None),
        (*UNKNOWN_LABEL, 1),
        ("REL008", "error", None),
        ("SEG010", "warning", None),
    ],
    "true_fractional": [
        ("DSO022", "warning", None),
        (*UNKNOWN_LABEL, 1),
        ("REL008", "error", None),
        ("SEG010", "warning", None),
    ],
    # The one with its image: 14 specks, as the test pattern is random.
    "binary_single_frame": [
        ("CTS004", "warning", None),
        ("CTS014", "warning", None),
        ("DSO022", "warning", None),
        (*UNKNOWN_LABEL, 1),
        ("SEG009", "info", 1),
    ],
}


@pytest.mark.parametrize("name", HIGHDICOM)
def test_objects_of_highdicom(reference: Path, tmp_path: Path, profile: Profile, name: str) -> None:
    files = [f"highdicom/seg_image_ct_{name}.dcm"]
    if name == "binary_single_frame":
        files.append("highdicom/ct_image.dcm")
    root, its = as_only_patient(reference, tmp_path / "release", profile, *files)
    report = audit(root, settings=settings(), profile=its, jobs=1)
    # Segments that the collection does not have, and none that it promises.
    assert short(report) == sorted([*HIGHDICOM[name], ("DSO025", "error", None)], key=lambda one: (one[0], one[2] or 0))
    assert report.limits == ()
    hold(report, hd.seg.segread(reference / files[0]))


def hold(report: Report, segmentation: hd.seg.Segmentation) -> None:
    """Whether what is said of an object is so, after highdicom's own reading of it."""
    masks = by_segment(segmentation)
    labels = {item.SegmentLabel for item in segmentation.SegmentSequence}
    assert labels <= {"first segment", "second segment"}
    assert segmentation.file_meta.TransferSyntaxUID == IMPLICIT
    (encoding,) = messages(report, "DSO022")
    assert (f"SegmentationType {segmentation.SegmentationType}" in encoding) == (
        segmentation.SegmentationType != "BINARY"
    )
    touching = [number for number, mask in masks.items() if mask[:, [0, -1]].any() or mask[:, :, [0, -1]].any()]
    assert bool(touching) == bool(messages(report, "SEG010"))
    for number, mask in masks.items():
        marks, _ = ndimage.label(mask, structure=FACES)
        specks = int((np.bincount(marks.ravel())[1:] < 10).sum())
        about = [one.observed for one in report.findings if (one.rule, one.subject.segment) == ("SEG009", number)]
        assert about == ([str(specks)] if specks else [])


def by_segment(segmentation: hd.seg.Segmentation) -> dict[int, np.ndarray]:
    """Masks by Segment Number, shape (planes, rows, columns), planes without a frame empty; a half or more of a voxel is in."""
    frames = segmentation.pixel_array.reshape(-1, segmentation.Rows, segmentation.Columns)
    if segmentation.SegmentationType == "FRACTIONAL":
        frames = frames * 2.0 >= segmentation.MaximumFractionalValue
    items = segmentation.PerFrameFunctionalGroupsSequence
    heights = np.array([float(item.PlanePositionSequence[0].ImagePositionPatient[2]) for item in items])
    thickness = segmentation.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0].SliceThickness
    planes = np.round((heights - heights.min()) / float(thickness)).astype(int)
    masks: dict[int, np.ndarray] = {}
    for item, plane, frame in zip(items, planes, frames, strict=True):
        number = item.SegmentIdentificationSequence[0].ReferencedSegmentNumber
        masks.setdefault(number, np.zeros((planes.max() + 1, *frame.shape), dtype=bool))[plane] = frame > 0
    return masks
