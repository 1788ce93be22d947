import math
import re
from pathlib import Path

import pytest

from crlm_qc.collection.profile import Profile, Published, Sort
from crlm_qc.collection.reading import load_profile
from crlm_qc.collection.resources import expectations_folder
from crlm_qc.model.errors import ProfileError
from crlm_qc.model.tolerances import Tolerances


@pytest.mark.parametrize(
    ("label", "role", "number"),
    [
        ("Liver", "liver", None),
        ("LIVER_REMNANT", "remnant", None),
        ("Hepatic", "vessel", None),
        ("portal-vein", "vessel", None),
        ("Tumor_1", "tumour", 1),
        ("tumour 12", "tumour", 12),
        ("Tumor", "tumour", None),
        ("Kidney", None, None),
        ("Liver 2", None, None),
    ],
)
def test_segment_vocabulary(profile: Profile, label: str, role: str | None, number: int | None) -> None:
    assert profile.role(label) == role
    assert profile.number(label) == number


def test_published_figures_agree_with_each_other(profile: Profile) -> None:
    published = profile.published
    assert published.series == published.patients * sum(published.series_per_patient.values())
    assert sum(published.sex.values()) == sum(published.manufacturers.values()) == published.patients


def changed(tmp_path: Path, old: str, new: str) -> Path:
    text = (expectations_folder() / "crlm.toml").read_text(encoding="utf-8")
    assert old in text
    path = tmp_path / "other.toml"
    path.write_text(text.replace(old, new), encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('manufacturer = "QIICR"', "", r"it lacks the key manufacturer in \[others 1\]"),
        ('modality = "SEG"', 'modality = "CT"', r"modality in \[others 1\] can't be CT"),
        (
            'uid_root = "1.2.276.0.7230010.3.1.3"',
            'uid_root = "1.3.6.1.4.1.14519"',
            r"uid_root in \[others 1\] must be another",
        ),
        (
            'uid_root = "1.2.276.0.7230010.3.1.3"',
            'uid_root = "QIICR"',
            r"uid_root in \[others 1\] is not of the right form",
        ),
        ("[published]", "[published", "other.toml can't be read as TOML: .*line"),
        ('name = "Colorectal-Liver-Metastases"', "", r"other.toml: it lacks the key name in \[collection\]"),
        ('name = "Colorectal-Liver-Metastases"', 'name = ""', r"name in \[collection\] is not of the right form"),
        ('doi = "', 'dio = "', r"unknown key dio in \[collection\]: did you mean doi"),
        (
            "patients = 197",
            "patients = 197\npatience = 1",
            r"unknown key patience in \[published\]: did you mean patients",
        ),
        ("patients = 197", "patients = '197'", r"patients in \[published\] must be a whole number"),
        ("patients = 197", "patients = true", r"patients in \[published\] must be a whole number"),
        ("patients = 197", "patients = -1", r"patients in \[published\] must be at least 0"),
        ("CT = 1, SEG = 1", "CT = 1", "series_per_patient .* must say how many of CT and of SEG"),
        ("M = 117", "M = 'many'", r"M in \[published.sex\] must be a whole number"),
        ("median = 55,", "middle = 55,", r"unknown key middle in \[published.slices_per_series\]"),
        ("min = 770.0", "min = 7700.0", r"min in \[published.liver_volume_ml\] is above max"),
        ("max = 3280.68 }", "max = inf }", r"max in \[published.liver_volume_ml\] must be a finite number"),
        ('["CRLM-CT-1024"]', "[1024]", "missing_patients .* must be a list of texts"),
        ("liver_hu = {", "liver_uh = {", r"unknown key liver_uh in \[plausible\]: did you mean liver_hu"),
        ("liver_hu = { min = 0.0, max = 250.0 }", "", r"it lacks the table \[plausible.liver_hu\]"),
        (
            'role = "vessel"\nlabel = "Portal"',
            'role = "vesel"\nlabel = "Portal"',
            "role in .segments 4. must be one of .*: did",
        ),
        ('label = "Portal"', 'label = "Liver"', "two .*segments.* have the label Liver"),
        ("pattern = '^liver$'", "pattern = '^liver($'", r"pattern in \[segments 1\] is no regular expression"),
        ("pattern = '^liver$'", "", r"it lacks the key pattern in \[segments 1\]"),
        ("required = true\npattern = '^liver$'", "required = 1\npattern = '^liver$'", "must be true or false"),
        ("missing = -999", "", r"it lacks the key missing in \[clinical\]"),
        ("missing = -999", "missing = '-999'", r"missing in \[clinical\] must be a number"),
        (
            "[[clinical.editions]]\nname",
            "[[clinical.editions]]\nnames",
            r"unknown key names in \[clinical.editions 1\]",
        ),
        ('patient_column = "Patient-ID"', 'patient_column = "Patient-id"', "is in no edition: did you mean Patient-ID"),
        (
            "NASH_score = {",
            "NASH_scor = {",
            r"unknown key NASH_scor in \[clinical.variables\]: did you mean NASH_score",
        ),
        (
            'age = { sort = "number"',
            'age = { sort = "nummer"',
            r"sort in \[clinical.variables.age\] must be .*: did you mean",
        ),
        ("min = 18, max = 100", "low = 18, max = 100", r"unknown key low in \[clinical.variables.age\]"),
        ("min = 18, max = 100", "min = 180, max = 100", r"min in \[clinical.variables.age\] is above max"),
        ("codes = [1, 2]", "codes = [1, '2']", "codes in .*sex. must be a list of whole numbers"),
        ("first_date = 1991-06-03", "first_date = '1991-06-03'", "must be a date"),
        ("[words]", "[wods]", "unknown key wods: did you mean words"),
        ("[words]", "[modalities.CTT]\n[words]", r"unknown key CTT in \[modalities\]: did you mean CT"),
        (
            "[words]",
            "[metadata]\nformat = ''\n[words]",
            r"unknown key format in \[metadata\]: did you mean date_format",
        ),
        (
            "[words]",
            "[tolerances]\nposition_mn = 1\n[words]",
            r"position_mn in \[tolerances\]: did you mean position_mm",
        ),
        ("[words]", "[tolerances]\nposition_mm = -1\n[words]", "must be at least 0"),
        ("[words]", "[tolerances]\nposition_mm = 'x'\n[words]", r"position_mm in \[tolerances\] must be a number"),
        ("[words]", "[tolerances]\nposition_mm = inf\n[words]", "must be a finite number"),
        ('uid_root = "1.3', 'uid_root = "1..3', "uid_root .* is not of the right form"),
    ],
)
def test_a_bad_profile_says_what_is_wrong(tmp_path: Path, old: str, new: str, said: str) -> None:
    with pytest.raises(ProfileError, match=said):
        load_profile(changed(tmp_path, old, new))


LEAST = """
[collection]
name = "Abdominal-Masses"
patient_id_pattern = '^ABC-[0-9]{3}$'
patient_id_form = "ABC-nnn"
uid_root = "1.2.3"
[[segments]]
role = "tumour"
label = "Mass"
pattern = '^mass$'
"""


def test_most_of_a_profile_may_be_left_out(tmp_path: Path) -> None:
    path = tmp_path / "least.toml"
    path.write_text(LEAST, encoding="utf-8")
    least, crlm = load_profile(path), load_profile()
    assert least.published == Published()
    assert least.published.series_per_patient == {"CT": 1, "SEG": 1}
    assert (least.metadata_columns, least.modalities) == (crlm.metadata_columns, crlm.modalities)
    assert (least.date_format, least.date_form) == (crlm.date_format, crlm.date_form)
    assert (least.has_workbook, crlm.has_workbook) == (False, True)
    assert (least.suites, least.known_issues, least.doi, least.tolerances) == ((), None, "", Tolerances())
    assert [least.has_role(role) for role in ("liver", "tumour")] == [False, True]


def test_a_vocabulary_with_a_liver_needs_bounds_of_it(tmp_path: Path) -> None:
    path = tmp_path / "liver.toml"
    path.write_text(LEAST.replace('"tumour"', '"liver"'), encoding="utf-8")
    with pytest.raises(ProfileError, match=r"it lacks the table \[plausible.liver_volume_ml\]"):
        load_profile(path)


def test_columns_of_the_workbook(profile: Profile) -> None:
    assert set(profile.variables) == {column for edition in profile.editions for column in edition.columns}
    variables = profile.variables
    assert variables["Patient-ID"].sort is Sort.PATIENT
    assert variables["relevant_notes"].sort is Sort.NOTE
    assert (variables["sex"].sort, variables["sex"].codes) == (Sort.CODE, {1, 2})
    assert (variables["age"].low, variables["age"].high, variables["age"].unit) == (18, 100, "years")
    assert (variables["mucin_percent"].low, variables["mucin_percent"].high) == (0, 1)
    assert variables["carcinoembryonic_antigen"].high == math.inf


def test_labels_by_number(profile: Profile) -> None:
    tumour = profile.term("Tumor_3")
    liver = profile.term("Liver")
    assert tumour is not None
    assert liver is not None
    assert (tumour.stem, tumour.named(None), tumour.named(3), tumour.required) == ("Tumor", "Tumor", "Tumor_3", True)
    assert (liver.stem, liver.named(3), liver.numbered) == ("Liver", "Liver", False)


def test_a_profile_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ProfileError, match="none.toml"):
        load_profile(tmp_path / "none.toml")


def test_tolerances_can_be_set(tmp_path: Path) -> None:
    profile = load_profile(changed(tmp_path, "[words]", "[tolerances]\nposition_mm = 0.5\n[words]"))
    assert profile.tolerances.position_mm == 0.5
    assert profile.tolerances.spacing_mm == Tolerances().spacing_mm
    lower = load_profile(changed(tmp_path, "[words]", "[tolerances]\nair_hu = -600\n[words]"))
    assert lower.tolerances.air_hu == -600


def test_one_day_that_was_not_shifted_may_stand_alone(tmp_path: Path) -> None:
    old = '["20090906", "20090902", "20090613", "20091122"]'
    assert load_profile(changed(tmp_path, old, '"20090902"')).deidentification.series_dates == {"SEG": ("20090902",)}


def test_the_ledger_is_the_published_one() -> None:
    series = load_profile().ledger.values()
    published = load_profile().published
    assert len(series) == published.series
    assert len({one.patient for one in series}) == published.patients
    assert sum(one.files for one in series if one.modality == "CT") == published.ct_slices
    assert sum(one.size for one in series) == 9_296_943_938 + 1_612_503_030


HEADINGS = "patient,modality,series_uid,files,bytes\n"
ROW = "CRLM-CT-1001,CT,1.2.840.1,3,100\n"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "ledger ledger.csv can't be read: no such file"),
        (b"\xff", "ledger ledger.csv can't be read: a character is not UTF-8"),
        (b"", "line 1 of ledger ledger.csv is not patient,modality,series_uid,files,bytes"),
        ((HEADINGS + ROW + ROW).encode(), "line 3 of ledger ledger.csv has a series again"),
        *(
            ((HEADINGS + ROW.replace(old, new)).encode(), "line 2 of ledger ledger.csv is no published series")
            for old, new in (("CT,1", "PT,1"), ("1.2.840.1", "x"), (",3,", ",0,"), (",100", ""), (",100", ",-1"))
        ),
    ],
)
def test_a_ledger_is_read_strictly(tmp_path: Path, content: bytes | None, said: str) -> None:
    if content is not None:
        (tmp_path / "ledger.csv").write_bytes(content)
    text = (expectations_folder() / "crlm.toml").read_text(encoding="utf-8")
    path = tmp_path / "other.toml"
    path.write_text(text.replace("crlm_series.csv", "ledger.csv"), encoding="utf-8")
    with pytest.raises(ProfileError, match=re.escape(said)):
        load_profile(path)
