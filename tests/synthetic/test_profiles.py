"""A synthetic release of any collection is clean under its profile, or the profile is refused before anything is written."""

import re
from pathlib import Path

import openpyxl
import pydicom
import pytest

from crlm_qc.auditing.run import audit
from crlm_qc.cli import app as cli
from crlm_qc.collection.profile import Profile
from crlm_qc.collection.reading import load_profile
from crlm_qc.model.settings import Settings
from crlm_qc.synthetic.cohort import draw, with_figures
from crlm_qc.synthetic.limits import refuse_what_cannot_be_drawn
from crlm_qc.synthetic.release import SyntheticRelease
from crlm_qc.synthetic.writer import profile_for, write_release

DOCS = Path(__file__).parents[2] / "docs" / "profiles.md"
COLLECTION = """
[collection]
name = "Abdominal-Masses"
patient_id_pattern = '^ABC-[0-9]{3}$'
patient_id_form = "ABC-nnn"
uid_root = "1.2.826.0.1.3680043.10.4711"
"""


def segment(role: str, label: str, *, required: bool = True) -> str:
    pattern = label.lower().replace("_n", "(?P<number>[0-9]+)")
    return f"[[segments]]\nrole = '{role}'\nlabel = '{label}'\npattern = '^{pattern}$'\nrequired = {str(required).lower()}\n"


MASS = segment("tumour", "Mass")
LIVER = (
    "[plausible]\nliver_volume_ml = { min = 500.0, max = 5000.0 }\nliver_hu = { min = 0.0, max = 250.0 }\n"
    + segment("liver", "Liver")
)
(CLINICAL,) = re.findall(r"```toml\n(\[clinical\].*?)```", DOCS.read_text(encoding="utf-8"), re.DOTALL)
"""The example of a workbook in the documentation."""


def profile_of(folder: Path, text: str) -> Profile:
    (folder / "own.toml").write_text(COLLECTION + text, encoding="utf-8")
    return load_profile(folder / "own.toml")


def written(folder: Path, profile: Profile, max_slices: int | None = 24) -> SyntheticRelease:
    return write_release(folder / "release", patients=2, seed=1, matrix=64, max_slices=max_slices, profile=profile)


def findings(release: SyntheticRelease, profile: Profile, max_slices: int | None = 24) -> list[tuple[str, str]]:
    report = audit(release.root, profile=profile_for(64, profile, max_slices), settings=Settings(subset=True), jobs=1)
    assert not report.incomplete
    return [(one.rule, one.message) for one in report.findings]


def test_everything_of_its_own(tmp_path: Path) -> None:
    """Dates, codes, private creators, columns, names of SOP classes, labels and a workbook of a collection's own."""
    profile = profile_of(
        tmp_path,
        "[published]\nsex = { F = 3 }\nmanufacturers = { ACME = 2 }\nspacing_slices_mm = { min = 6, max = 7 }\n"
        "[deidentification]\ncodes = ['113100', '113105', '113107', '113108', '113109', '113111']\n"
        "first_date = 2001-01-01\nlast_date = 2001-01-31\n"
        "[metadata]\ncolumns = ['Series UID', 'Subject ID', 'Study UID', 'Modality', 'File Location', 'Study Date']\n"
        "date_format = '%Y/%m/%d'\ndate_form = 'YYYY/MM/DD'\n"
        "[modalities.SEG]\n'1.2.840.10008.5.1.4.1.1.66.7' = 'Map'\n'1.2.840.10008.5.1.4.1.1.66.4' = 'Seg'\n"
        + CLINICAL.replace('"comment"]', '"comment", "alias", "age", "lowest"]')
        + 'alias = { sort = "pseudonym", pattern = "P[0-9]{4}", form = "Pnnnn" }\n'
        'age = { sort = "number", min = 0, max = 120 }\nlowest = { sort = "number", max = -5 }\n'
        + MASS
        + segment("tumour", "Metastasis_n", required=False)
        + segment("other", "Spleen")
        + segment("other", "Cyst_n"),
    )
    release = written(tmp_path, profile)
    assert findings(release, profile) == []
    dso = pydicom.dcmread(release.dso_file("ABC-101"))
    assert [item.SegmentLabel for item in dso.SegmentSequence] == ["Mass", "Spleen", "Cyst_1"]
    assert "20010101" <= dso.StudyDate == dso.SeriesDate <= "20010131"
    assert (0x0013, 0x0010) not in dso
    assert (dso.PatientSex, pydicom.dcmread(release.ct_files("ABC-101")[0]).Manufacturer) == ("F", "ACME")
    assert release.workbook.name == "Abdominal-Masses-Clinical-data-First.xlsx"
    book = openpyxl.load_workbook(release.workbook)
    assert book.sheetnames == ["Cases", "Codebook"]
    heading, first, *_ = book["Cases"].iter_rows(values_only=True)
    row = dict(zip(heading, first, strict=True))
    assert (row["Case"], row["alias"], row["comment"]) == ("ABC-101", "P0001", None)
    assert 20 <= row["weight"] <= 300
    assert 0 <= row["shrinkage"] <= 1


def test_a_liver_of_its_own_figures(tmp_path: Path) -> None:
    profile = profile_of(
        tmp_path,
        "[published]\npatients = 2\nslices_per_series = { min = 30, max = 34 }\n"
        "spacing_in_plane_mm = { min = 5.5, max = 6.5 }\nliver_volume_ml = { min = 1000, max = 1200 }\n"
        "tumour_volume_ml = { min = 5, max = 20 }\n[deidentification]\nlast_date = 2001-06-01\n"
        + LIVER
        + "".join(segment("vessel", label, required=label != "One") for label in ("One", "Two", "Three"))
        + segment("tumour", "Mass_n"),
    )
    release = written(tmp_path, profile, max_slices=None)
    assert findings(release, profile, None) == []
    labels = [item.SegmentLabel for item in pydicom.dcmread(release.dso_file("ABC-101")).SegmentSequence]
    assert labels[:4] == ["Liver", "Two", "Three", "Mass_1"]


def test_labels_of_no_meaning_alone(tmp_path: Path) -> None:
    profile = profile_of(tmp_path, segment("other", "Spleen") + segment("other", "Kidney", required=False))
    assert findings(written(tmp_path, profile), profile) == []


REFUSED = {
    "third vessel": (
        MASS + "".join(segment("vessel", label) for label in ("One", "Two", "Three")),
        "of role vessel are required than there are to draw: Three",
    ),
    "second sort of tumour": (MASS + segment("tumour", "Metastasis_n"), "of role tumour are required"),
    "label": (MASS.replace("^mass", "^masses"), "label Mass of [[segments]]"),
    "code": ("[deidentification]\ncodes = ['113100']\n" + MASS, "codes of [deidentification] lack 113105"),
    "unknown code": ("[deidentification]\ncodes = ['999']\n" + MASS, "code 999 of [deidentification]"),
    "dates": (
        "[deidentification]\nfirst_date = 2002-01-01\nlast_date = 2001-01-01\n" + MASS,
        "first_date of [deidentification] comes after last_date",
    ),
    "syntax": (
        "[published]\ntransfer_syntax_uid = '1.2.840.10008.1.2'\n" + MASS,
        "transfer_syntax_uid of [published]",
    ),
    "series": ("[published]\nseries_per_patient = { CT = 2, SEG = 1 }\n" + MASS, "series_per_patient of [published]"),
    "room": ("[published]\nslices_per_series = { min = 3, max = 4 }\n" + MASS, "no room for a liver with its tumours"),
    "volume": (
        "[published]\nliver_volume_ml = { min = 9000, max = 9100 }\n" + LIVER + MASS,
        "liver_volume_ml of [published] is 9000 to 9100",
    ),
    "values": (LIVER.replace("max = 250.0", "max = 100.0") + MASS, "liver_hu of [plausible]"),
    "columns": ("[metadata]\ncolumns = ['SeriesInstanceUID']\n" + MASS, "column SeriesInstanceUID of [metadata]"),
    "date form": ("[metadata]\ndate_form = 'YYYYMMDD'\n" + MASS, "date_format in [metadata]"),
    "modality": ("[modalities.CT]\n'1.2.3' = 'CT'\n" + MASS, "[modalities.CT] lacks"),
    "sex": ("[published]\nsex = { male = 3 }\n" + MASS, "sex of [published] has male"),
    "cell": (
        CLINICAL.replace('"comment"]', '"comment", "age"]') + "age = { sort = 'number', max = 3 }\n" + MASS,
        "column age of the workbook",
    ),
    "sheet": (CLINICAL.replace('"Codebook"', '"Cases"') + MASS, "sheets of [clinical]"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_drawn_is_refused_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    text, said = REFUSED[name]
    profile_of(tmp_path, text)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as ended:
        cli.main(["synth", "release", "--profile", "own.toml", "--patients", "2", "--matrix", "64"])
    assert ended.value.code == 2
    assert said in capsys.readouterr().err
    assert not Path("release").exists()


def test_ids_and_uids(tmp_path: Path) -> None:
    for old, new, said in (("{3}", "{4}", "patient_id_pattern"), ("4711", "4711" + "1" * 30, "uid_root")):
        (tmp_path / "own.toml").write_text(COLLECTION.replace(old, new) + MASS, encoding="utf-8")
        with pytest.raises(ValueError, match=said):
            written(tmp_path, load_profile(tmp_path / "own.toml"))


def test_images_are_of_the_published_size_unless_another_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    profile_of(tmp_path, "[published]\nrows = 72\ncolumns = 72\n" + MASS)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as ended:
        cli.main(["synth", "release", "--profile", "own.toml", "--patients", "1"])
    assert ended.value.code == 0, capsys.readouterr().err
    item = pydicom.dcmread(next(Path("release").rglob("*.dcm")), stop_before_pixels=True)
    assert (item.Rows, item.Columns) == (72, 72)


def test_figures_that_were_published_hold(tmp_path: Path, profile: Profile) -> None:
    assert with_figures(profile).published == profile.published
    text = "[published]\nslices_per_series = { min = 30, median = 35, max = 60 }\nrows = 128\ncolumns = 128\n"
    published = with_figures(profile_of(tmp_path, text + MASS)).published
    assert (published.slices_per_series.max, published.patients, published.ct_slices) == (60, 197, 197 * 35)
    assert published.spacing_in_plane_mm.max == pytest.approx(0.977 * 4)
    text = "[published]\nspacing_in_plane_mm = { min = 1, max = 2 }\n"
    published = with_figures(profile_of(tmp_path, text + MASS), 64).published
    assert (published.rows, published.spacing_in_plane_mm.max) == (64, 2)


@pytest.mark.parametrize("patients", [60, 197])
def test_the_collection_itself_is_never_refused(patients: int) -> None:
    profile = load_profile()
    edition = next(one for one in profile.editions if one.name == "April 2023")
    for seed in range(8):
        plans = draw(patients, seed, profile_for(512, with_figures(profile, 512)), matrix=512)
        refuse_what_cannot_be_drawn(plans, profile, profile_for(512, profile).published, edition)
