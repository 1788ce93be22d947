from pathlib import Path

import pytest

from crlm_qc.model.profile import Profile, ProfileError, load_profile
from crlm_qc.model.tolerances import Tolerances
from crlm_qc.resources import expectations_folder


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
        ("[published]", "[published", "can't be read"),
        ('doi = "10.7937/QXK2-QG03"', "", "lacks the key 'doi'"),
        ("patients = 197", "patients = 197\npatience = 1", "unknown key .* patience"),
        ("[words]", "[tolerances]\nposition_mn = 1\n[words]", "unknown tolerance position_mn"),
        ("[words]", "[tolerances]\nposition_mm = -1\n[words]", "must be at least 0"),
        ("[words]", "[tolerances]\nposition_mm = 'x'\n[words]", "other.toml"),
        ("[words]", "[tolerances]\nposition_mm = inf\n[words]", "must be a finite number"),
        ("max = 3280.68 }", "max = inf }", "must be finite numbers"),
    ],
)
def test_a_bad_profile_says_what_is_wrong(tmp_path: Path, old: str, new: str, said: str) -> None:
    with pytest.raises(ProfileError, match=said):
        load_profile(changed(tmp_path, old, new))


def test_a_profile_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ProfileError, match="none.toml"):
        load_profile(tmp_path / "none.toml")


def test_tolerances_can_be_set(tmp_path: Path) -> None:
    profile = load_profile(changed(tmp_path, "[words]", "[tolerances]\nposition_mm = 0.5\n[words]"))
    assert profile.tolerances.position_mm == 0.5
    assert profile.tolerances.spacing_mm == Tolerances().spacing_mm
    lower = load_profile(changed(tmp_path, "[words]", "[tolerances]\nair_hu = -600\n[words]"))
    assert lower.tolerances.air_hu == -600
