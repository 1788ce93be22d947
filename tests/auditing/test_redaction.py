"""Nothing that identifies a person leaves: identifiers are planted wherever text can stand, and every output is searched."""

import json
import re
import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd
import pytest
from support.identifiers import BARE, ELSEWHERE, MARK, NUMBERS, Words, plant_faults, plant_identifiers
from support.releases import copy_release, small_profile, small_release

from crlm_qc.auditing.judging import judge
from crlm_qc.auditing.redaction import LARGEST, OURS, PATHS, redact
from crlm_qc.cli import app as cli
from crlm_qc.collection.forms import study_folder
from crlm_qc.collection.profile import Profile
from crlm_qc.evidence.collect import collect
from crlm_qc.evidence.store import load
from crlm_qc.model.evidence import Evidence
from crlm_qc.model.report import Report
from crlm_qc.model.settings import Depth, Settings
from crlm_qc.model.tables import TABLES
from crlm_qc.report import FORMATS
from crlm_qc.report import changes as changes_formats
from crlm_qc.synthetic.faults import FAULTS, plant
from crlm_qc.synthetic.release import SyntheticRelease

__all__ = ["small_profile"]


@dataclass
class Planted:
    """A release full of identifiers, and everything that was said and written of it."""

    release: SyntheticRelease
    words: Words
    folder: Path
    said: dict[str, str] = field(default_factory=dict)
    codes: dict[str, int] = field(default_factory=dict)

    @property
    def written(self) -> Iterator[Path]:
        return (path for path in sorted(self.folder.rglob("*")) if path.is_file())


def run(planted: Planted, name: str, *arguments: object) -> None:
    """Run a command in this process, and keep what it says."""
    with pytest.MonkeyPatch.context() as patch, ExitStack() as opened:
        patch.chdir(planted.folder)
        # Output of a test's session is not this one's: it is written to files.
        for stream in ("stdout", "stderr"):
            file = opened.enter_context((planted.folder / f"{name}.{stream}").open("w", encoding="utf-8"))
            patch.setattr(f"sys.{stream}", file)
        with pytest.raises(SystemExit) as ended:
            cli.main([str(word) for word in arguments])
    planted.codes[name] = int(str(ended.value.code or 0))


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Planted:
    release = small_release(tmp_path_factory.mktemp("planted") / "release", patients=4)
    plant_faults(release)
    made = Planted(release, plant_identifiers(release), tmp_path_factory.mktemp("outputs"))
    root = release.root
    everything = [word for name in FORMATS for word in ("-o", f"{name}:all/report.{name}")]
    run(
        made, "check", "check", root, "--debug", "--jobs", "1", *everything, "--evidence", "tables", "--pictures", "all"
    )
    run(made, "again", "check", "tables", "--out", "again", "--subset", "--debug")
    aliased = [word for name in FORMATS for word in ("-o", f"{name}:aliased/report.{name}")]
    run(
        made,
        "aliased",
        "check",
        root,
        "--jobs",
        "1",
        "--redact-paths",
        "--out",
        "aliased",
        *aliased,
        "--pictures",
        "all",
    )
    run(made, "lock", "lock", root, "--lock", "release.lock")
    changed = tmp_path_factory.mktemp("changed") / "release"
    shutil.copytree(root, changed, symlinks=True)
    for path in changed.rglob("*.txt"):
        path.write_bytes(b"changed")
    next(changed.rglob(f"{MARK}*.pdf")).unlink()
    record = ("--attest", "record.json", "--out", "attested", "--depth", "headers")
    run(made, "attest", "check", root, "--jobs", "1", *record)
    run(made, "compare", "check", changed, "--lock", "release.lock", "--out", "compared", "--depth", "headers")
    run(made, "verify", "verify", changed, "record.json")
    run(made, "pictures", "pictures", root, release.patients[1], "--out", "pictures")
    report = "all/report.json"
    run(made, "show", "show", report)
    run(made, "shown", "show", report, "--patient", release.patients[2])
    for name in changes_formats.FORMATS:
        run(made, f"diff-{name}", "diff", report, "again/findings.json", "-o", f"{name}:changes.{name}")
    run(made, "report", "report", report, *[word for name in FORMATS for word in ("-o", f"{name}:later/report.{name}")])
    run(made, "nobody", "check", root, "--patients", "CRLM-CT-9999")
    return made


def text_of(path: Path) -> str:
    if path.suffix != ".parquet":
        return path.read_bytes().decode("latin-1")
    table = pd.read_parquet(path)
    return "\n".join([*table.columns, *(str(value) for column in table for value in table[column].dropna().unique())])


def test_there_are_many_of_them(planted: Planted) -> None:
    assert len(planted.words.places) + len(NUMBERS) > 100
    held = "".join(
        path.read_bytes().decode("latin-1") for path in planted.release.root.rglob("*.dcm") if path.is_file()
    )
    missing = [
        word for word, place in planted.words.places.items() if place in ("PatientName", "deep PN") and word not in held
    ]
    assert missing == []
    assert all(number in held for number in (*NUMBERS, *BARE.values()))


def test_every_command_ran(planted: Planted) -> None:
    assert {name: code for name, code in planted.codes.items() if code not in (0, 1)} == {"nobody": 2, "pictures": 3}
    assert planted.codes["check"] == planted.codes["again"] == planted.codes["compare"] == 1


def test_nothing_that_was_planted_comes_out(planted: Planted) -> None:
    files = list(planted.written)
    assert len(files) > 60
    # A lock file names the files of a release: without their names nothing could be compared.
    leaks = {
        str(path.relative_to(planted.folder)): found
        for path in files
        if (found := planted.words.found_in(text_of(path) + path.name)) and path.suffix != ".lock"
    }
    assert leaks == {}


def test_lock_files_hold_names_of_files_alone_and_say_so(planted: Planted) -> None:
    found = planted.words.found_in((planted.folder / "release.lock").read_text(encoding="utf-8"))
    of_names = ("file", "folder", "name of", "document", *ELSEWHERE)
    assert all(any(word in place for word in of_names) for place in found)
    assert found
    said = (planted.folder / "lock.stderr").read_text(encoding="utf-8")
    assert re.search(r"names \d+ files by words that are not the collection's: keep it where the release is kept", said)


def test_what_was_planted_was_seen(planted: Planted) -> None:
    said = (planted.folder / "check.stdout").read_text(encoding="utf-8")
    for code in ("DID001", "DID002", "DID003", "DID004", "DID005", "DID006", "DID009", "DID010", "DID012", "DID014"):
        assert code in said, code


def findings_of(planted: Planted, name: str) -> Report:
    return Report.from_dict(json.loads((planted.folder / name).read_bytes()))


def test_files_outside_of_patient_folders_were_looked_at(planted: Planted) -> None:
    outside = [one for one in findings_of(planted, "all/report.json").findings if one.patient is None]
    told = {(one.rule, one.subject.column) for one in outside}
    assert {("DID001", "PatientName"), ("DID002", "PatientID"), ("REL007", None)} <= told


def test_folders_may_go_without_their_names(planted: Planted) -> None:
    patients = [
        folder for folder in planted.release.collection.iterdir() if re.fullmatch("CRLM-CT-[0-9]{4}", folder.name)
    ]
    names = {folder.name for patient in patients for folder in patient.rglob("*") if folder.is_dir()}
    assert len(names) > 8
    written = [path for path in planted.written if "aliased" in str(path.relative_to(planted.folder))]
    assert len(written) > 10
    leaks = {path.name: [name for name in names if name in text_of(path)] for path in written}
    assert {name: found for name, found in leaks.items() if found} == {}
    assert "/CT/" in (planted.folder / "aliased/report.csv").read_text(encoding="utf-8")
    plain, aliased = (findings_of(planted, f"{name}/report.json") for name in ("all", "aliased"))
    assert aliased.settings.redact_paths
    told, again = (sorted((one.rule, one.fingerprint) for one in report.findings) for report in (plain, aliased))
    assert told == again


def test_ages_over_89_are_kept_nowhere(planted: Planted) -> None:
    tables = load(planted.folder / "tables")
    ages = {*tables["slices"]["patient_age"].dropna(), *tables["dsos"]["patient_age"].dropna()}
    assert "091Y" in ages
    cells = tables["clinical"]
    cells = cells[cells["column"] == "age"]
    assert {97.0, 96.0}.isdisjoint(cells["value"])
    assert "97" not in set(cells["text"].dropna())


def test_saved_tables_say_what_the_release_says(planted: Planted) -> None:
    def found(name: str) -> set[tuple[str, str]]:
        return {(one.rule, one.fingerprint) for one in findings_of(planted, name).findings}

    assert found("again/findings.json") >= {one for one in found("all/report.json") if one[0].startswith("DID")}


@pytest.mark.parametrize("broken", ["workbook", "metadata", "manifest", "dicom"])
def test_exceptions_on_broken_files_say_nothing(broken: str, tmp_path: Path) -> None:
    release = small_release(tmp_path / "release", patients=1)
    word = f"{MARK}BROKEN 77419035".encode()
    if broken == "workbook":
        content = release.workbook.read_bytes()
        release.workbook.write_bytes(content[:2000] + word + content[2000:])
    elif broken == "metadata":
        release.metadata.write_bytes(
            b"\xff\xfe" + word + b'"\n\x00' + release.metadata.read_bytes()[40:] + word + b',"'
        )
    elif broken == "manifest":
        release.manifest.write_bytes(word + b"\xff\n=" + word)
    else:
        for index, path in enumerate(release.ct_files(release.patients[0])[:6]):
            content = path.read_bytes()
            at = (140, 300, 500, 700, 900, 1100)[index]
            path.write_bytes(content[:at] + word + content[at + len(word) :])
    made = Planted(release, Words({f"{MARK}BROKEN": "broken"}), tmp_path / "outputs")
    made.folder.mkdir()
    run(made, "check", "check", release.root, "--debug", "--jobs", "1", "--evidence", "tables", "--subset")
    assert made.codes["check"] in (0, 1, 3)
    assert {path.name: found for path in made.written if (found := made.words.found_in(text_of(path)))} == {}


# --- redacted tables -------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> SyntheticRelease:
    return small_release(tmp_path_factory.mktemp("clean") / "release")


@pytest.fixture(scope="module")
def headers(clean: SyntheticRelease, profile: Profile) -> Evidence:
    """Evidence of headers. Shared: change a copy."""
    return collect(clean.root, profile, depth=Depth.HEADERS, jobs=1)


@pytest.fixture
def evidence(headers: Evidence) -> Evidence:
    """The same, which may be changed."""
    return Evidence(headers.facts, {name: headers[name].copy() for name in headers})


def differences(before: Evidence, after: Evidence) -> set[tuple[str, str]]:
    return {
        (name, column)
        for name in before
        for column in before[name].columns
        if not before[name][column].equals(after[name][column])
    }


def test_a_clean_release_keeps_all_but_free_text(clean: SyntheticRelease, profile: Profile) -> None:
    evidence = collect(clean.root, profile, depth=Depth.MASKS, jobs=1)
    after = redact(evidence, profile)
    assert differences(evidence, after) == {
        ("slices", "manufacturer_model"),
        ("slices", "convolution_kernel"),
        ("slices", "contrast_agent"),
        ("clinical_dictionary", "description"),
        ("clinical_dictionary", "values"),
    }
    assert after.facts == evidence.facts
    for name in after:
        assert list(after[name].dtypes) == list(evidence[name].dtypes), name


JUDGED: tuple[str, ...] = (
    "study-folder-date",
    "stray-file",
    "patient-id-swapped",
    "row-description",
    "column-unknown",
    "clinical-unknown-column",
    "segment-label-unknown",
    "study-date-unshifted",
    "workbook-author",
    "uid-of-another-root",
    "clinical-text-that-runs",
    "manifest-entry-missing",
)


@pytest.mark.parametrize("name", [name for name in JUDGED if name in FAULTS])
def test_redacted_tables_give_the_findings_of_the_release(
    name: str, clean: SyntheticRelease, tmp_path: Path, small_profile: Profile
) -> None:
    release = copy_release(clean, tmp_path / "release")
    plant(release, name)
    evidence = collect(release.root, small_profile, depth=Depth.HEADERS, jobs=1)
    settings = Settings(subset=True, known_issues=False, depth=Depth.HEADERS)
    first, second = (judge(one, small_profile, settings) for one in (evidence, redact(evidence, small_profile)))
    assert [(one.rule, one.fingerprint, one.count) for one in second.findings] == [
        (one.rule, one.fingerprint, one.count) for one in first.findings
    ]
    assert first.findings


def test_words_of_ours_are_never_mistaken_for_text(planted: Planted) -> None:
    # A column that holds a text of a file must not stand among those that are left alone.
    tables = load(planted.folder / "tables")
    assert {column.name for table in TABLES.values() for column in table.columns} >= OURS | PATHS
    for name in tables:
        for column in tables[name].select_dtypes("str"):
            assert not [one for one in tables[name][column].dropna() if MARK in one.upper()]


def test_numbers_of_cells_that_may_be_record_numbers_are_cut(profile: Profile, evidence: Evidence) -> None:
    evidence["clinical"].loc[0, "value"] = 77419035.0
    after = redact(evidence, profile)
    assert after["clinical"]["value"].max() == LARGEST


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("1.2.840.113619.2.55", True),
        # Spoilt by a leading zero, so that an audit of the tables tells of it too.
        ("1.2.840.0113619.2.55", True),
        ("1.212.555.0142", False),
        ("2.12.1948", False),
        ("88121024.1.2.3.4", False),
    ],
)
def test_of_digits_and_points_only_what_is_meant_as_a_uid_is_kept(
    text: str, kept: bool, profile: Profile, evidence: Evidence
) -> None:
    evidence["slices"].loc[0, "series_description"] = text
    assert (text in set(redact(evidence, profile)["slices"]["series_description"])) is kept


@pytest.mark.parametrize(
    ("age", "of_header", "of_cell"),
    [
        ("055Y", "055Y", None),
        ("055 Y", "055 Y", None),
        ("090Y", "090Y", None),
        ("093Y", "091Y", "91"),
        ("93 y", "091Y", "91"),
        ("1937", None, "131"),
        ("Jane", None, None),
    ],
)
def test_ages_are_kept_up_to_89_however_they_are_written(
    age: str, of_header: str | None, of_cell: str | None, profile: Profile, evidence: Evidence
) -> None:
    place = int(evidence["clinical"].index[evidence["clinical"]["column"] == "age"][0])
    evidence["slices"].loc[0, ["patient_age", "series_description"]] = age
    evidence["clinical"].loc[place, "text"] = age
    after = redact(evidence, profile)
    assert after["slices"].loc[0, "patient_age"] == (of_header or after["slices"].loc[0, "patient_age"])
    assert after["clinical"].loc[place, "text"] == (of_cell or after["clinical"].loc[place, "text"])
    if of_header != age:
        assert age not in {after["slices"].loc[0, "patient_age"], after["clinical"].loc[place, "text"]}
    # An age in a column that is none of ages is a text as any other.
    assert (after["slices"].loc[0, "series_description"] == age) is age.isdigit()


@pytest.mark.parametrize(
    ("folder", "kept"),
    [
        ("06-06-1992-NA-CT ABD WITH PEL-75163", "06-06-1992-NA-CT ABD WITH PEL-75163"),
        ("23-05-2010-NA-CT ABD WITH PEL-75163", "00-00-0000-NA-CT ABD WITH PEL-75163"),
        ("2.000000-NA-3.123", "2.000000-NA-3.123"),
        ("88121024.000000-NA-54011", "99999.000000-NA-54011"),
        ("881210248812.000000-NA-54011", "99999.000000-NA-54011"),
    ],
)
def test_folders_keep_what_the_downloader_wrote_and_no_number_of_a_person(
    folder: str, kept: str, profile: Profile, clean: SyntheticRelease, evidence: Evidence
) -> None:
    evidence["slices"].loc[0, "path"] = f"{clean.patients[0]}/{folder}/1-01.dcm"
    assert redact(evidence, profile)["slices"].loc[0, "path"] == f"{clean.patients[0]}/{kept}/1-01.dcm"


@pytest.mark.parametrize(
    ("folder", "description"),
    [
        ("06-06-1992-NA-FOIE TRIPHASE PORTALE-75163", "FOIE/TRIPHASE PORTALE"),
        ("06-06-1992-FOIE TRIPHASE PORTALE-75163", "FOIE TRIPHASE, PORTALE"),
        ("06-06-1992-Rm 7a-FOIE TRIPHASE POR-75163", "FOIE TRIPHASE PORTALE"),
        ("06-06-1992-NA-Foie-Portale-75163", "Foie-Portale"),
        ("06-06-1992-NA-FOIE PORTE\u0301-75163", "FOIE PORT\u00c9"),
    ],
)
def test_a_studys_folder_still_goes_with_its_description(
    folder: str, description: str, profile: Profile, clean: SyntheticRelease, evidence: Evidence
) -> None:
    evidence["slices"].loc[0, "study_description"] = description
    evidence["slices"].loc[0, "path"] = f"{clean.patients[0]}/{folder}/1-01.dcm"
    first = redact(evidence, profile)["slices"].loc[0]
    found = study_folder(first["path"].split("/")[1])
    assert found is not None
    assert found.description.rpartition("-")[2] == first["study_description"]


@pytest.mark.parametrize(
    ("date", "kept"),
    [
        ("6/7/1992", "1/1/1111"),
        ("25.06.1992", "31.11.1111"),
        ("1992-06-25", "1111-11-11"),
        ("06-25-1992", "06-25-1992"),
        ("Jane", None),
    ],
)
def test_dates_of_a_list_keep_their_form(date: str, kept: str | None, profile: Profile, evidence: Evidence) -> None:
    evidence["metadata"].loc[0, "study_date"] = date
    found = redact(evidence, profile)["metadata"].loc[0, "study_date"]
    assert found == kept if kept else found != date


@pytest.mark.parametrize(
    ("heading", "kept"),
    [
        ("License URL", True),
        ("SeriesInstanceUID", True),
        ("File Size (Bytes)", True),
        ("Number of Image", True),
        ("Referring Physician", False),
    ],
)
def test_headings_that_are_known_stay(heading: str, kept: bool, profile: Profile, evidence: Evidence) -> None:
    evidence["sources"]["columns"] = json.dumps([heading])
    (found,) = set(redact(evidence, profile)["sources"]["columns"])
    assert (found == json.dumps([heading])) is kept
