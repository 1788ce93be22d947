"""What a file holds in place of what was meant, by its name and first bytes."""

import gzip
import io
import zipfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crlm_qc.evidence.contents import content_of, link_content, meant_name, named_content
from crlm_qc.model.contents import ARCHIVES, CONTENTS, NO_TABLE, POINTERS


def packed(name: str, content: bytes = b"x") -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr(name, content)
    return stream.getvalue()


@pytest.mark.parametrize(
    ("start", "code"),
    [
        (b"<!DOCTYPE html><html><title>Log in</title>", "web-page"),
        (b"\xef\xbb\xbf\n<!-- x --><HTML>", "web-page"),
        ("<html><body>".encode("utf-16"), "web-page"),
        (b'<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>', "xml"),
        (b"<Error><Code>NoSuchKey</Code></Error>", "xml"),
        (b'{"timestamp":"2023-01-01","status":403,"error":"Forbidden"}', "json"),
        (b'[ {"a": 1}]', "json"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0", "lfs-pointer"),
        (b"/annex/objects/MD5E-s4--00.dcm\n", "annex-pointer"),
        (b"../../.git/annex/objects/xX/yY/MD5E-s4--00.dcm", "annex-pointer"),
        (b"outs:\n- md5: 00\n  path: 1-01.dcm\n", "dvc-pointer"),
        (bytes(4096), "zeros"),
        (gzip.compress(b"x", mtime=0), "gzip"),
        (packed("1-01.dcm"), "zip"),
        (packed("mimetype", b"application/vnd.oasis.opendocument.spreadsheet"), "ods"),
        (packed("[Content_Types].xml"), "office"),
        (b"7z\xbc\xaf\x27\x1c\0\4", "7z"),
        (b"Rar!\x1a\x07\x01\0", "rar"),
        (bytes(257).replace(b"\0", b"a") + b"ustar\x0000", "tar"),
        (b"\x5c\x01\0\0" + bytes(340) + b"n+1\0", "nifti"),
        (b"NRRD0004\n", "nrrd"),
        (b"ObjectType = Image\nNDims = 3\n", "metaimage"),
        (b"\x89PNG\r\n\x1a\n", "png"),
        (b"\xff\xd8\xff\xe0", "jpeg"),
        (b"II*\0", "tiff"),
        (b"%PDF-1.7", "pdf"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "ole"),
        (b"checked\r\n", "text"),
        (b"Patient-ID,age\n", "text"),
        # Neither of these is the answer of a server.
        (b"< 0.5, see note", "text"),
        (b"[1, 2]", "text"),
        (b"\x08\0\5\0\x0a\0\0\0ISO_IR 100", None),
        (bytes(128) + b"DICM\2\0\0\0UL\4\0", None),
        (b"", None),
    ],
)
def test_first_bytes(start: bytes, code: str | None) -> None:
    assert content_of(start) == code


@given(st.binary(max_size=600))
def test_any_bytes_are_of_a_known_kind_or_none(start: bytes) -> None:
    assert content_of(start) in {None, *CONTENTS}


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("1-01.dcm.part", "1-01.dcm"),
        ("1-01.part", "1-01"),
        ("metadata.csv.crdownload", "metadata.csv"),
        ("Unconfirmed 123456.crdownload", "Unconfirmed 123456"),
        ("1-01.dcm.1a2b3c4d.partial", "1-01.dcm"),
        ("metadata.csv.k3x9qzw.partial", "metadata.csv"),
        ("1-01.dcm.filepart", "1-01.dcm"),
        ("1-01.dcm.tmp", "1-01.dcm"),
        ("1-01.dcm_.gstmp", "1-01.dcm_"),
        ("release.zip.download", "release.zip"),
        (".1-01.dcm.Xa81Kz", "1-01.dcm"),
        (".~1-01.dcm.abcdef", "1-01.dcm"),
        ("1-01.dcm.aB3d9E1f", "1-01.dcm"),
    ],
)
def test_names_of_unfinished_downloads(name: str, meant: str) -> None:
    assert meant_name(name) == meant
    assert named_content(name) == "unfinished"


@pytest.mark.parametrize(
    "name",
    [
        "1-01.dcm",
        "1-01.dcm.backup",
        "1-01.dcm.orig",
        "metadata.csv.20230401",
        "metadata.csv.OLDCOPY1",
        "thesis.part",
        "run.tmp",
        "notes.partial",
        "metadata.csv.txt",
        "1-01.dcm.gz",
        ".DS_Store",
        "~$workbook.xlsx",
        "part",
        "",
    ],
)
def test_names_of_other_files(name: str) -> None:
    assert meant_name(name) is None


@given(st.text(max_size=40))
def test_any_name_is_of_a_known_kind_or_none(name: str) -> None:
    assert named_content(name) in {None, *CONTENTS}


@pytest.mark.parametrize(
    ("name", "code"),
    [("a.zip", "zip"), ("a.tar.gz", "gzip"), ("A.TGZ", "gzip"), ("a.nii.gz", "nifti"), ("1-01.dcm.dvc", "dvc-pointer")],
)
def test_names_that_tell_by_themselves(name: str, code: str) -> None:
    assert named_content(name) == code


@pytest.mark.parametrize(
    ("target", "code"),
    [
        ("../../.git/annex/objects/Xx/Yy/MD5E-s1--0.dcm/MD5E-s1--0.dcm", "annex-link"),
        ("..\\.git\\annex\\objects\\a", "annex-link"),
        ("../../../blobs/" + "0f" * 32, "cache-link"),
        ("/data/.dvc/cache/files/md5/aa/bb", "cache-link"),
        ("/data/shared/CRLM-CT-1001", None),
        ("../blobs/1-01.dcm", None),
        ("", None),
    ],
)
def test_where_links_lead(target: str, code: str | None) -> None:
    assert link_content(target) == code


def test_every_kind_is_in_words() -> None:
    assert set(CONTENTS) >= ARCHIVES | NO_TABLE | POINTERS
    for content in CONTENTS.values():
        assert content.one
        assert content.several
        assert not content.do.endswith(".")
