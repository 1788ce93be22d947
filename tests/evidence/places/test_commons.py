"""The public buckets of the Imaging Data Commons: folders of series, of which a listing tells whose they are."""

import csv
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pydicom
import pytest
from support.releases import small_profile, small_release
from support.stores import Store, serving
from support.webs import web

from crlm_qc.auditing.run import audit
from crlm_qc.collection.profile import Profile
from crlm_qc.evidence.places.given import read_given
from crlm_qc.evidence.places.opening import open_source
from crlm_qc.model.access import PLAIN, Access
from crlm_qc.model.errors import ReleaseError
from crlm_qc.model.settings import Depth, Settings
from crlm_qc.report.json_format import render

pytest.importorskip("obstore")
__all__ = ["small_profile"]

URL = Path("s3://bucket/idc")
Row = dict[str, str]


def uuid(seed: str) -> str:
    digits = pydicom.uid.generate_uid(entropy_srcs=[seed]).rpartition(".")[2].zfill(32)[:32]
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:32]}"


@dataclass
class Commons:
    """A release as the Commons' downloader lays it out, and the rows of the index that its bucket goes by."""

    plain: Path
    bucket: Path
    rows: list[Row]
    instances: list[Row]
    others: str
    """The folder of what others added."""

    def index(self, path: Path, rows: list[Row] | None = None) -> Path:
        rows = self.rows if rows is None else rows
        if path.suffix == ".parquet":
            pq.write_table(pa.Table.from_pylist(rows), path)
            return path
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]), delimiter="\t" if path.suffix == ".tsv" else ",")
            writer.writeheader()
            writer.writerows(rows)
        return path


@pytest.fixture(scope="module")
def commons(tmp_path_factory: pytest.TempPathFactory) -> Commons:
    top = tmp_path_factory.mktemp("commons")
    release = small_release(top / "release", patients=2, max_slices=17)
    # A bucket's prefix and a folder go by one name, so that reports are the same.
    plain, bucket = top / "plain" / "idc", top / "bucket" / "idc"
    rows: dict[str, Row] = {}
    instances: list[Row] = []
    for path in sorted(release.collection.rglob("*.dcm")):
        data = pydicom.dcmread(path, stop_before_pixels=True)
        series = str(data.SeriesInstanceUID)
        rows[series] = {
            "collection_id": "colorectal_liver_metastases",
            "analysis_result_id": "",
            "PatientID": str(data.PatientID),
            "StudyInstanceUID": str(data.StudyInstanceUID),
            "SeriesInstanceUID": series,
            "Modality": str(data.Modality),
            "crdc_series_uuid": uuid(series),
            "series_aws_url": f"s3://bucket/{uuid(series)}/*",
            "instanceCount": "1",
        }
        row = rows[series]
        instances.append({**row, "crdc_instance_uuid": uuid(data.SOPInstanceUID)})
        name = f"{uuid(data.SOPInstanceUID)}.dcm"
        for target in (
            plain / row["PatientID"] / row["StudyInstanceUID"] / f"{row['Modality']}_{series}" / name,
            bucket / uuid(series) / name,
        ):
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, target)
    # What an analysis of others added to the collection, and another collection of the same bucket.
    mask = next(row for row in rows.values() if row["Modality"] == "SEG")
    others = uuid("others")
    shutil.copytree(bucket / mask["crdc_series_uuid"], bucket / others)
    shutil.copytree(bucket / mask["crdc_series_uuid"], bucket / uuid("unlisted"))
    added = {
        **mask,
        "SeriesInstanceUID": f"{mask['SeriesInstanceUID']}.1",
        "crdc_series_uuid": others,
        "series_aws_url": f"s3://bucket/{others}/*",
    }
    foreign = {**added, "collection_id": "nlst", "PatientID": "100012"}
    analysis = {**added, "analysis_result_id": "BAMF-AIMI-Annotations"}
    return Commons(plain, bucket, [foreign, *rows.values(), analysis], instances, others)


@pytest.fixture(scope="module")
def store(commons: Commons) -> Iterator[Store]:
    with pytest.MonkeyPatch.context() as patch, serving() as server:
        yield server.holding(commons.bucket, "idc", patch)


def judged(place: Path, profile: Profile, access: Access = PLAIN, depth: Depth = Depth.HEADERS) -> bytes | str:
    return render(audit(place, profile=profile, settings=Settings(subset=True, depth=depth), access=access, jobs=1))


def test_patients_are_those_of_the_index_and_nothing_else_is_fetched(
    commons: Commons, store: Store, small_profile: Profile, tmp_path: Path
) -> None:
    store.forget()
    access = Access(listing=commons.index(tmp_path / "index.csv"))
    found = judged(URL, small_profile, access, Depth.PIXELS)
    assert found == judged(commons.plain, small_profile, depth=Depth.PIXELS)
    read = {path.split("/")[-2] for path in store.objects() if path.endswith(".dcm")}
    assert read == {row["crdc_series_uuid"] for row in commons.rows} - {commons.others}
    # One request tells what lies in the folder of a series: that is not asked of the others.
    assert len(store.asked) == len(read) + len([path for path in store.objects() if path.endswith(".dcm")])


@pytest.mark.parametrize("name", ["index.parquet", "index.tsv", "urls.csv", "ledger.csv", "instances.csv"])
def test_forms_of_a_listing(commons: Commons, store: Store, small_profile: Profile, tmp_path: Path, name: str) -> None:
    rows = commons.instances if name == "instances.csv" else commons.rows
    if name == "urls.csv":
        rows = [{key: text for key, text in row.items() if key != "crdc_series_uuid"} for row in rows]
    access = Access(listing=commons.index(tmp_path / name, rows))
    expected = open_source(commons.plain).tree()
    if name == "ledger.csv":
        # Its own columns, and the one that tells where a series lies; it has no study.
        renamed = {"PatientID": "patient", "Modality": "modality", "SeriesInstanceUID": "series_uid"}
        kept = [row for row in rows if row["collection_id"] != "nlst" and not row["analysis_result_id"]]
        ledger = [
            {**{new: row[old] for old, new in renamed.items()}, "crdc_series_uuid": row["crdc_series_uuid"]}
            for row in kept
        ]
        access = Access(listing=commons.index(tmp_path / name, ledger))
        paths = {"/".join((p := one.path.split("/"))[:1] + p[2:]) for one in expected.items}
    else:
        paths = {one.path for one in expected.items}
    found = open_source(URL, access=access, collection=small_profile.name).tree()
    assert {one.path for one in found.items} == paths
    assert found.limits == []
    assert all(one.stamp is not None for one in found.items)


def test_a_web_server_needs_the_names_of_the_files(commons: Commons, small_profile: Profile, tmp_path: Path) -> None:
    with web(commons.bucket.parent) as site:
        place = Path(f"{site.url}/idc")
        listing = commons.index(tmp_path / "instances.csv", commons.instances)
        assert judged(place, small_profile, Access(listing=listing)) == judged(commons.plain, small_profile)
        with pytest.raises(ReleaseError, match="names series and none of their files"):
            open_source(
                place, access=Access(listing=commons.index(tmp_path / "index.csv")), collection=small_profile.name
            )


def test_what_is_not_where_the_index_says_is_a_limit(
    commons: Commons, store: Store, small_profile: Profile, tmp_path: Path
) -> None:
    gone, moved = dict(commons.rows[1]), dict(commons.rows[2])
    gone |= {"crdc_series_uuid": uuid("gone")}
    moved |= {"series_aws_url": "s3://idc-open-data-two/x/*"}
    listing = commons.index(tmp_path / "index.csv", [gone, moved, *commons.rows[3:]])
    found = open_source(URL, access=Access(listing=listing), collection=small_profile.name).tree()
    left = len(commons.rows) - 3
    assert found.limits == [
        f"1 of the {left} series of the listing are not there",
        "1 series of the listing lie in another bucket, and were not read",
    ]


@pytest.mark.parametrize(
    ("column", "value", "says"),
    [
        ("PatientID", "../up", "row 2: PatientID is none"),
        ("PatientID", "..", "row 2: PatientID is none"),
        ("SeriesInstanceUID", "1.2/3", "row 2: SeriesInstanceUID is none"),
        ("StudyInstanceUID", "x", "row 2: StudyInstanceUID is none"),
        ("Modality", "ct/../..", "row 2: Modality is none"),
        ("crdc_series_uuid", "../../other", "row 2: crdc_series_uuid is none"),
        ("collection_id", "nlst", "lists no series of Colorectal-Liver-Metastases"),
    ],
)
def test_a_row_that_leads_elsewhere_is_refused(
    commons: Commons, small_profile: Profile, tmp_path: Path, column: str, value: str, says: str
) -> None:
    rows = [{**row, column: value} for row in commons.rows[1:2]]
    rows += [{**commons.rows[0], "collection_id": "another"}] if column == "collection_id" else []
    listing = commons.index(tmp_path / "index.csv", rows)
    with pytest.raises(ReleaseError, match=says):
        read_given(listing, small_profile.name, "bucket")


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"PatientID,SeriesInstanceUID,Modality\na,1.2,CT\n", "not where they lie: it needs a column crdc_series_uuid"),
        (b"SeriesInstanceUID,crdc_series_uuid\n1.2,a\n", "has no column PatientID"),
        (b"PatientID,SeriesInstanceUID,Modality,series_aws_url\na,1.2,CT\n", "row 2: crdc_series_uuid is none"),
        (b"", "lists nothing"),
        (b"some words\n", "line 1: neither a checksum and a path, nor a table"),
        (b"0" * 64 + b"  ../x\n", "line 1: the path leads out of the release"),
        (b"0" * 64 + b"  " + b"x" * 5000, "line 1: the path has more than 4,096 bytes"),
        (b"\xff\xfe\x00", "a character is not UTF-8"),
        (b"PAR1 and nothing", "it is no Parquet, or a damaged one"),
    ],
)
def test_what_is_no_listing_is_said(tmp_path: Path, content: bytes, says: str) -> None:
    (tmp_path / "listing").write_bytes(content)
    with pytest.raises(ReleaseError, match=says):
        read_given(tmp_path / "listing", "X", "bucket")


def test_lists_of_checksums_of_other_tools(tmp_path: Path) -> None:
    lines = f"# a comment\n{'0' * 32}  ./a b.dcm\r\n\\{'0' * 64} *c\\\\d\\nx\nSHA256 (e/f (1).dcm) = {'0' * 64}\n"
    (tmp_path / "sums").write_text(lines, encoding="utf-8", newline="")
    assert list(read_given(tmp_path / "sums", "X", "bucket").files) == ["a b.dcm", "c\\d\nx", "e/f (1).dcm"]
