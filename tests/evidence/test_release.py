import os
from pathlib import Path

import pytest

from crlm_qc.collection.reading import load_profile
from crlm_qc.evidence.release import find_release
from crlm_qc.model.errors import ReleaseError

COLLECTION = "Colorectal-Liver-Metastases"
HEADINGS = ",".join(load_profile().metadata_columns) + "\n"
CLINICAL = ",".join(load_profile().editions[0].columns) + "\n"
MANIFEST = "downloadServerUrl=x\nListOfSeriesToDownload=\n1.2.3\n"


def put(path: Path, text: str = "x") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def patient(folder: Path, name: str = "1-1.dcm") -> None:
    put(folder / "study" / "series" / name)


def nbia(root: Path) -> Path:
    outer = root / "manifest-1669817128730"
    put(outer / "metadata.csv", HEADINGS)
    put(root / "clinical.csv", CLINICAL)
    put(root / "release.tcia", MANIFEST)
    for number in (1001, 1002):
        patient(outer / COLLECTION / f"CRLM-CT-{number}")
    return root


def card(root: Path) -> Path:
    put(root / "manifest-1669817128730" / COLLECTION / "metadata.csv", HEADINGS)
    put(root / "clinical.csv", CLINICAL)
    put(root / "release.tcia", MANIFEST)
    for number in (1001, 1002):
        patient(root / f"CRLM-CT-{number}")
    return root


def kinds(found) -> dict[str, str]:
    return {other.item.path: other.kind for other in found.others}


def problems(found) -> dict[str, str | None]:
    items = [other.item for other in found.others] + [item for one in found.patients for item in one.items]
    return {item.name: item.problem for item in items if item.problem}


@pytest.mark.parametrize("build", [nbia, card])
def test_every_part_is_found_in_both_layouts(tmp_path, profile, build):
    found = find_release(build(tmp_path / "release"), profile)
    assert found.layout == build.__name__
    assert found.source.name == "release"
    assert [(one.patient, one.valid, len(one.items)) for one in found.patients] == [
        ("CRLM-CT-1001", True, 1),
        ("CRLM-CT-1002", True, 1),
    ]
    assert {one.part: one.item.name for one in found.candidates} == {
        "metadata": "metadata.csv",
        "clinical": "clinical.csv",
        "manifest": "release.tcia",
    }


def test_the_collection_folder_itself_is_a_release(tmp_path, profile):
    root = nbia(tmp_path / "release") / "manifest-1669817128730" / COLLECTION
    found = find_release(root, profile)
    assert [one.folder for one in found.patients] == ["CRLM-CT-1001", "CRLM-CT-1002"]
    assert found.layout == "nbia"


def beside(found) -> list[tuple[str, str]]:
    return [(one.part, one.item.path) for one in found.candidates]


def test_parts_that_lie_beside_the_audited_folder_are_found(tmp_path, profile):
    root = nbia(tmp_path / "data")
    series = f"{profile.uid_root}.1\n"
    put(root / "release.tcia", MANIFEST + series)
    put(root / "manifest-1669817128730" / "metadata.csv", HEADINGS + series)
    every = [("metadata", "metadata.csv"), ("clinical", "clinical.csv"), ("manifest", "release.tcia")]
    assert beside(find_release(root / "manifest-1669817128730", profile)) == every
    assert beside(find_release(root / "manifest-1669817128730" / COLLECTION, profile)) == every


def test_lists_and_tables_of_others_that_lie_beside_are_left_alone(tmp_path, profile):
    root = nbia(tmp_path / "data") / "manifest-1669817128730"
    (root / "metadata.csv").unlink()
    (tmp_path / "data" / "clinical.csv").unlink()
    # A list of another collection, a table that has been moved and edited, a folder, a link, and what lies two levels up.
    put(tmp_path / "data" / "other.tcia", MANIFEST)
    put(tmp_path / "data" / "old metadata.csv", HEADINGS + f"{profile.uid_root}.1\n")
    (tmp_path / "data" / "folder.tcia").mkdir()
    put(tmp_path / "clinical.csv", CLINICAL)
    (tmp_path / "data" / "linked.csv").symlink_to(tmp_path / "clinical.csv")
    assert beside(find_release(root, profile)) == []


def test_what_the_release_holds_is_not_looked_for_beside_it(tmp_path, profile):
    root = nbia(tmp_path / "release")
    put(tmp_path / "clinical.csv", CLINICAL)
    assert beside(find_release(root, profile))[1] == ("clinical", "clinical.csv")
    assert len(find_release(root, profile).of("clinical")) == 1


def test_parts_are_known_by_content(tmp_path, profile):
    root = nbia(tmp_path / "release")
    put(root / "notes.csv", "a,b\n1,2\n")
    put(root / "inventory.csv", HEADINGS)
    put(root / "list.txt", MANIFEST)
    found = find_release(root, profile)
    assert kinds(found) == {
        "clinical.csv": "clinical",
        "inventory.csv": "metadata",
        "list.txt": "manifest",
        "manifest-1669817128730/metadata.csv": "metadata",
        "notes.csv": "document",
        "release.tcia": "manifest",
    }
    assert next(one.path for one in found.of("metadata")).endswith("metadata.csv")


def test_named_parts_are_used_alone(tmp_path, profile):
    root = nbia(tmp_path / "release")
    outside = put(tmp_path / "elsewhere" / "mine.csv", HEADINGS)
    inside = put(root / "docs" / "odd.bin", MANIFEST)
    found = find_release(root, profile, metadata=outside, manifest=inside)
    assert [(one.path, one.read(0, 9)) for one in found.of("metadata")] == [("mine.csv", HEADINGS[:9].encode())]
    assert [one.path for one in found.of("manifest")] == ["docs/odd.bin"]
    assert kinds(found)["docs/odd.bin"] == "manifest"
    with pytest.raises(ReleaseError, match=r"--clinical .*clinicl\.csv not found \(did you mean clinical\.csv\?\)"):
        find_release(root, profile, clinical=root / "clinicl.csv")


def test_folders_of_another_form_in_the_collection_are_patients_too(tmp_path, profile):
    root = nbia(tmp_path / "release")
    collection = root / "manifest-1669817128730" / COLLECTION
    patient(collection / "DOE JOHN")
    patient(collection / "CRLM-CT-10O4")
    (collection / "hollow" / "deeper").mkdir(parents=True)
    put(collection / ".cache" / "x")
    put(root / "docs" / "readme.md")
    found = find_release(root, profile)
    odd = {one.patient: one.folder.rpartition("/")[2] for one in found.patients if not one.valid}
    assert odd == {"patient[1]": "CRLM-CT-10O4", "patient[2]": "DOE JOHN"}


def test_beside_patients_at_the_root_only_folders_with_images_are_patients(tmp_path, profile):
    root = card(tmp_path / "release")
    patient(root / "CRLM_CT_1003")
    put(root / "docs" / "readme.md")
    found = find_release(root, profile)
    assert [one.folder for one in found.patients if not one.valid] == ["CRLM_CT_1003"]
    assert kinds(found)["docs/readme.md"] == "document"


def test_a_patient_folder_inside_another_is_no_patient(tmp_path, profile):
    root = nbia(tmp_path / "release")
    patient(root / "manifest-1669817128730" / COLLECTION / "CRLM-CT-1001" / "CRLM-CT-1002")
    found = find_release(root, profile)
    assert [one.patient for one in found.patients] == ["CRLM-CT-1001", "CRLM-CT-1002"]
    assert len(found.patients[0].items) == 2


def test_what_lies_around(tmp_path, profile):
    root = nbia(tmp_path / "release")
    collection = root / "manifest-1669817128730" / COLLECTION
    litter = ("~$clinical.xlsx", ".DS_Store", "Thumbs.db", "desktop.ini", "._release.tcia", "md5hashes.csv", "Icon\r")
    litter += ("1-1.dcm:Zone.Identifier", "@eaDir/1-1.dcm", "#recycle/old.csv", "lost+found/x", "$RECYCLE.BIN/a.dcm")
    for name in litter:
        put(root / name)
    put(root / "LICENSE")
    put(collection / "LICENSE.txt")
    put(collection / "readme.txt")
    put(root / "stray", "\0" * 128 + "DICM")
    put(root / "readme.md")
    # What lies in a recycle bin, and folders with nothing but litter, are no patients.
    for name in (
        "$RECYCLE.BIN/desktop.ini",
        "#recycle/CRLM-CT-1001/s/1-1.dcm",
        "System Volume Information/x",
        "new/.DS_Store",
    ):
        put(collection / name)
    release = find_release(root, profile)
    assert [one.folder.rpartition("/")[2] for one in release.patients] == ["CRLM-CT-1001", "CRLM-CT-1002"]
    found = kinds(release)
    below = f"manifest-1669817128730/{COLLECTION}"
    assert {found[name] for name in litter} == {"system"}
    assert found["LICENSE"] == found[f"{below}/LICENSE.txt"] == "licence"
    assert found[f"{below}/readme.txt"] == found["stray"] == "unexpected"
    assert found["readme.md"] == "document"


def test_links(tmp_path, profile):
    root = nbia(tmp_path / "release")
    series = root / "manifest-1669817128730" / COLLECTION / "CRLM-CT-1001" / "study" / "series"
    secret = put(tmp_path / "secret" / "1-9.dcm")
    (series / "inside.dcm").symlink_to(series / "1-1.dcm")
    (series / "outside.dcm").symlink_to(secret)
    (series / "broken.dcm").symlink_to(series / "nothing.dcm")
    (series / "broken-outside.dcm").symlink_to(tmp_path / "nothing.dcm")
    (series / "loop.dcm").symlink_to(series / "loop.dcm")
    (root / "folder-inside").symlink_to(series)
    (root / "folder-outside").symlink_to(secret.parent)
    os.mkfifo(series / "pipe.dcm")
    found = find_release(root, profile)
    assert problems(found) == {
        "outside.dcm": "link-outside",
        "broken.dcm": "link-broken",
        "broken-outside.dcm": "link-outside",
        "loop.dcm": "link-broken",
        "folder-inside": "link-folder",
        "folder-outside": "link-outside",
        "pipe.dcm": "not-a-file",
    }
    items = {item.name: item for one in found.patients for item in one.items}
    assert items["inside.dcm"].key == (series / "1-1.dcm").relative_to(root).as_posix()
    assert all(item.readable is not bool(item.problem) for item in items.values())
    assert "1-9.dcm" not in items


def test_a_table_that_is_a_link_is_told_by_its_own_name(tmp_path, profile):
    # As git-annex and DVC keep files: under names that say nothing, with a link where the file should be.
    root = nbia(tmp_path / "release")
    (root / "clinical.csv").rename(put(root / "store" / "7f" / "c0ffee"))
    (root / "clinical.csv").symlink_to(root / "store" / "7f" / "c0ffee")
    found = find_release(root, profile)
    assert [item.path for item in found.of("clinical")] == ["clinical.csv"]
    assert kinds(found)["store/7f/c0ffee"] == "document"


def test_a_linked_root_is_resolved_and_its_links_judged_by_where_it_is(tmp_path, profile):
    nbia(tmp_path / "release")
    (tmp_path / "link").symlink_to(tmp_path / "release")
    found = find_release(tmp_path / "link", profile)
    assert len(found.patients) == 2
    assert problems(found) == {}


def test_names_that_are_no_unicode(tmp_path, profile):
    root = nbia(tmp_path / "release")
    Path(os.fsdecode(os.fsencode(root) + b"/caf\xe9.txt")).touch()
    names = [other.item.path for other in find_release(root, profile).others]
    assert "caf\N{REPLACEMENT CHARACTER}.txt" in names
    "".join(names).encode()


def test_a_folder_that_may_not_be_listed_is_told(tmp_path, profile, monkeypatch):
    root = nbia(tmp_path / "release")
    scandir = os.scandir

    def refuse(path):
        if str(path).endswith("CRLM-CT-1002"):
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    found = find_release(root, profile)
    assert found.limits == (f"folder manifest-1669817128730/{COLLECTION}/CRLM-CT-1002 was not read: permission denied",)
    assert [(one.patient, len(one.items)) for one in found.patients] == [("CRLM-CT-1001", 1), ("CRLM-CT-1002", 0)]


def test_wrong_paths_say_what_to_type(tmp_path, profile):
    root = nbia(tmp_path / "release")
    with pytest.raises(ReleaseError, match=r"releas not found \(did you mean release\?\)"):
        find_release(tmp_path / "releas", profile)
    with pytest.raises(ReleaseError, match=r"is a file, not a folder"):
        find_release(root / "clinical.csv", profile)
    with pytest.raises(ReleaseError, match=r"is an archive of a kind that is not read: unpack it"):
        find_release(put(tmp_path / "release.7z"), profile)
    one = root / "manifest-1669817128730" / COLLECTION / "CRLM-CT-1001"
    with pytest.raises(ReleaseError, match=r"is one patient \(CRLM-CT-1001\).* --patients CRLM-CT-1001"):
        find_release(one, profile)
    with pytest.raises(ReleaseError, match=r"lies inside one patient \(CRLM-CT-1001\)"):
        find_release(one / "study", profile)


def test_the_way_out_of_a_patient_folder_is_relative_where_the_path_was(tmp_path, profile, monkeypatch):
    root = nbia(tmp_path / "release")
    monkeypatch.chdir(root / "manifest-1669817128730" / COLLECTION / "CRLM-CT-1001")
    with pytest.raises(ReleaseError, match=r"crlm-qc check \.\. --patients CRLM-CT-1001"):
        find_release(Path(), profile)


def test_an_empty_folder_is_an_empty_release(tmp_path, profile):
    found = find_release(tmp_path, profile)
    assert (found.layout, found.patients, found.others, found.candidates) == ("none", (), (), ())


def test_images_of_other_patients_make_no_release(tmp_path, profile):
    put(tmp_path / "release" / "LIDC-0001" / "1-1.dcm", "\0" * 128 + "DICM")
    found = find_release(tmp_path / "release", profile)
    assert found.patients == ()
    assert kinds(found) == {"LIDC-0001/1-1.dcm": "unexpected"}


def test_folders_that_systems_keep_are_no_patients(tmp_path, profile):
    root = nbia(tmp_path / "release")
    for name in ("$RECYCLE.BIN", "System Volume Information", "lost+found"):
        put(root / "manifest-1669817128730" / COLLECTION / name / "IndexerVolumeGuid", "x")
    found = find_release(root, profile)
    assert [one.patient for one in found.patients] == ["CRLM-CT-1001", "CRLM-CT-1002"]
    assert {kind for path, kind in kinds(found).items() if path.endswith("Guid")} == {"system"}
