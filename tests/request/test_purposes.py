"""What a configuration says of purposes, and what comes of it."""

from pathlib import Path

import pytest

from crlm_qc.model.fitness import PURPOSES, Fit
from crlm_qc.model.settings import Depth, PurposeChoice, Settings
from crlm_qc.request.files import ConfigurationError, read
from crlm_qc.request.request import Request
from crlm_qc.rulebook.purposes import purposes_of
from crlm_qc.rules import registry

EVERY = [item.code for item in registry()]
MINE = """
[purposes.segmentation]
out = ["SEG006"]
care = ["CTS008"]
ignore = ["CTS01", "dso-not-there"]
"""


def told(tmp_path: Path, text: str) -> dict[str, PurposeChoice]:
    path = tmp_path / "crlm-qc.toml"
    path.write_text(text, encoding="utf-8")
    return read(path)["purposes"]  # type: ignore[no-any-return]


def test_another_opinion_on_a_purpose(tmp_path: Path) -> None:
    choices = told(tmp_path, MINE.replace(', "dso-not-there"', ""))
    found = purposes_of(registry(), Settings(purposes=choices), EVERY)
    assert found.spoils["SEG006"].effect("segmentation") is Fit.OUT
    assert found.spoils["CTS008"].effect("segmentation") is Fit.CARE
    assert found.spoils["CTS010"].effect("segmentation") is Fit.USABLE
    # What nothing is said of stays, for this purpose and for the others.
    assert found.spoils["CTS009"].effect("segmentation") is Fit.OUT
    assert found.spoils["CTS010"].effect("volumetry") is Fit.OUT
    assert [one.name for one in found.texts] == list(PURPOSES)


def test_a_purpose_of_ones_own(tmp_path: Path) -> None:
    choices = told(
        tmp_path,
        '[purposes.survival]\nabout = "survival after volumes"\nlike = ["volumetry", "clinical-pairing"]\nout = ["XRF003"]\n'
        '[purposes.noise]\nabout = "noise"\ndepth = "pixels"\nout = ["CTS024"]\n',
    )
    found = purposes_of(registry(), Settings(purposes=choices), EVERY)
    survival, noise = found.texts[-2:]
    assert (survival.name, survival.about, survival.depth) == ("survival", "survival after volumes", Depth.MASKS)
    assert noise.depth is Depth.PIXELS
    for code, effect in (
        ("CTS008", Fit.OUT),
        ("XRF002", Fit.OUT),
        ("XRF003", Fit.OUT),
        ("SEG016", Fit.CARE),
        ("DID001", Fit.USABLE),
    ):
        assert found.spoils[code].effect("survival") is effect, code
    assert [code for code, spoils in found.spoils.items() if spoils.effect("noise") is not Fit.USABLE] == ["CTS024"]
    assert found.spoils["XRF004"].everyone


def test_what_is_said_of_no_purpose_is_what_rules_declare() -> None:
    found = purposes_of(registry(), Settings(), EVERY)
    assert found.texts == tuple(PURPOSES.values())
    assert {code: set(spoils.out) for code, spoils in found.spoils.items()} == {
        item.code: set(item.spoils.out) for item in registry()
    }


def test_rules_that_were_not_asked_for_are_named() -> None:
    chosen = [code for code in EVERY if code.startswith("DID")]
    found = {one.name: one for one in purposes_of(registry(), Settings(select=("DID",)), chosen).texts}
    assert "CTS008" in found["segmentation"].unasked
    ignoring = Settings(ignore=("CTS008", "seg"))
    chosen = [item.code for item in registry() if item.code != "CTS008" and item.family != "SEG"]
    found = {one.name: one for one in purposes_of(registry(), ignoring, chosen).texts}
    assert found["segmentation"].unasked == ()
    assert {"CTS008", "SEG013"} <= set(found["segmentation"].ignored)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (
            "[purposes.segmentatoin]\nout = []\n",
            r"unknown purpose segmentatoin in \[purposes\]: did you mean segmentation",
        ),
        ("[purposes.segmentation]\nuot = []\n", r"unknown key uot in \[purposes.segmentation\].*did you mean out"),
        ('[purposes.sharing]\nout = ["CTS8"]\n', r"unknown rule CTS8 in out in \[purposes.sharing\]: close to CTS008"),
        ('[purposes.sharing]\nignore = [""]\n', "unknown rule"),
        (
            '[purposes.x]\nabout = "x"\nlike = ["volumetri"]\n',
            r"unknown purpose volumetri in like.*did you mean volumetry",
        ),
        ('[purposes.x]\nabout = "x"\ndepth = "pixel"\n', "depth in .* must be one of headers, masks, pixels"),
        ('[purposes."A b"]\nabout = "x"\n', "not of the right form"),
        ("[purposes]\nsegmentation = 1\n", "segmentation in .purposes. must be a table"),
        ('[purposes.x]\nabout = "x"\nlike = ["y"]\n[purposes.y]\nabout = "y"\n', "unknown purpose y"),
        (MINE, "unknown rule dso-not-there"),
    ],
)
def test_what_is_not_right_is_refused_with_what_is_close(tmp_path: Path, text: str, why: str) -> None:
    with pytest.raises(ConfigurationError, match=why):
        told(tmp_path, text)


def test_a_request_has_them_from_the_file(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text('[purposes.sharing]\nout = ["DID006"]\n', encoding="utf-8")
    request = Request.of({}, file=path)
    assert request.settings.purposes == {"sharing": PurposeChoice(out=("DID006",))}
    assert Request.of({}, isolated=True).settings.purposes == {}
