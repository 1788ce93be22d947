"""Changes of whole files by their structure: what a writer gets wrong, what a transfer loses, what somebody plants.

Each takes a generator of random numbers and the content of a valid file, and gives the content of one that may be
anything. Equal numbers give equal changes.
"""

from __future__ import annotations

import io
import json
import random
import zipfile
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pydicom
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.tag import Tag
from pydicom.uid import DeflatedExplicitVRLittleEndian, RLELossless
from pydicom.valuerep import EXPLICIT_VR_LENGTH_32

CANARY = "QXZJVKW"
"""A word that no output may show; it stands where a file may name a person."""

LONG = "x" * 70_000
NUMBERS = (
    "0",
    "-1",
    "1",
    "65535",
    "65536",
    "2147483648",
    "1e308",
    "-1e308",
    "1e-320",
    "NaN",
    "inf",
    "99999999999999999999",
)
TEXTS = (
    "",
    " ",
    "\0",
    CANARY,
    f"{CANARY}^{CANARY}",
    f"/home/{CANARY}/x.dcm",
    "../../../etc/passwd",
    "<script>alert(1)</script>",
    "\x1b[31m",
    "\N{RIGHT-TO-LEFT OVERRIDE}",
    "=1+1",
    "\\",
    LONG,
    "a\\b\\c\\d",
    *NUMBERS,
)
_BINARY = {"US": 2, "SS": 2, "UL": 4, "SL": 4, "FL": 4, "FD": 8, "AT": 4}
_VRS = ("UI", "LO", "DS", "IS", "US", "UL", "FD", "SQ", "OB", "OW", "UN", "PN", "DA")
_SYNTAXES = (
    "1.2.840.10008.1.2",
    "1.2.840.10008.1.2.1",
    "1.2.840.10008.1.2.2",
    "1.2.840.10008.1.2.1.99",
    "1.2.840.10008.1.2.5",
    "1.2.840.10008.1.2.4.70",
    "1.2.840.10008.1.2.4.80",
    "1.2.840.10008.1.2.4.90",
    "1.2.3.4",
    "",
)
_SHAPE = (
    "Rows",
    "Columns",
    "NumberOfFrames",
    "BitsAllocated",
    "BitsStored",
    "HighBit",
    "PixelRepresentation",
    "SamplesPerPixel",
    "ImagePositionPatient",
    "ImageOrientationPatient",
    "PixelSpacing",
    "SegmentNumber",
    "ReferencedSegmentNumber",
    "RescaleSlope",
    "RescaleIntercept",
    "InstanceNumber",
    "SOPInstanceUID",
    "SeriesInstanceUID",
    "PatientID",
    "SpecificCharacterSet",
    "ReferencedSOPInstanceUID",
    "ReferencedFrameNumber",
    "SegmentationType",
    "StudyDate",
)
"""Attributes that readers take sizes, places and names from: they are changed more often than others."""


def octets(rng: random.Random, content: bytes) -> bytes:
    """Bytes flipped, cut, doubled, set to nothing or put in."""
    if not content:
        return bytes(rng.randrange(256) for _ in range(rng.randrange(64)))
    at = rng.randrange(len(content))
    # Most of what a parser decides by stands at the beginning.
    at = min(at, rng.choice((300, 3000, len(content))))
    length = rng.choice((1, 2, 4, 16, 200, len(content)))
    part = content[at : at + length]
    return rng.choice(
        (
            lambda: content[:at],
            lambda: content[:at] + bytes(len(part)) + content[at + length :],
            lambda: content[:at] + b"\xff" * len(part) + content[at + length :],
            lambda: content[:at] + content[at + length :],
            lambda: content[:at] + part + part + content[at + length :],
            lambda: content[:at] + bytes(rng.randrange(256) for _ in range(min(length, 64))) + content[at:],
            lambda: content[:at] + bytes([content[at] ^ (1 << rng.randrange(8))]) + content[at + 1 :],
            lambda: content[at:],
        )
    )()


def several(rng: random.Random, content: bytes, change: Callable[[random.Random, bytes], bytes]) -> bytes:
    """The same sort of change once or a few times."""
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        content = change(rng, content)
    return content


def dicom(rng: random.Random, content: bytes) -> bytes:
    """A DICOM file with elements missing, empty, of another sort, several or hostile; or with bytes changed."""
    if rng.random() < 0.3:
        return several(rng, content, octets)
    try:
        return _changed(rng, content)
    except Exception:  # noqa: BLE001 - what pydicom can't hold or write is changed as bytes
        return several(rng, content, octets)


_VALUES = (
    *(text.encode("utf-8")[:300] for text in TEXTS),
    b"\xe9t\xe9",
    b"\x1b$B$d",
    b"\xfe\xff\x00\xe0\x00\x00\x00\x00",
    b"   ",
    b"1.2.03",
    b"1.2.3\\1.2.4",
    b"-5.\\+.5\\1e1",
    b"1\\0\\0\\0\\1\\0",
    b"120000.5",
    b"Doe^Jane",
)


def element(rng: random.Random, content: bytes) -> bytes:
    """One element of a header changed where it stands, every other byte left as it is."""
    try:
        file = pydicom.dcmread(io.BytesIO(content), stop_before_pixels=True)
        raw = [one for part in (file.file_meta, file) for _, one in part.items() if isinstance(one, RawDataElement)]
        one = rng.choice([one for one in raw if one.length != 0xFFFFFFFF])
    except Exception:  # noqa: BLE001 - what pydicom can't read is changed as bytes
        return octets(rng, content)
    width = 2 if one.VR and not one.is_implicit_VR and one.VR not in EXPLICIT_VR_LENGTH_32 else 4
    value = one.value or b""
    at, end = one.value_tell, one.value_tell + one.length
    # With two bytes that are kept free before a length of four.
    start = at - (12 if width == 4 and not one.is_implicit_VR else 8)

    def written(new: bytes, length: int | None = None) -> bytes:
        told = (len(new) if length is None else length) % (1 << 8 * width)
        return content[: at - width] + told.to_bytes(width, "little") + new + content[end:]

    new = rng.choice((*_VALUES, rng.choice(raw).value or b""))
    new += b" " * (len(new) % 2 if rng.random() < 0.9 else 0)
    digit = bytes([rng.choice(b"0123456789. \\")])
    place = rng.randrange(max(1, len(value)))
    return rng.choice(
        (
            lambda: written(value[:place] + digit + value[place + 1 :]),
            lambda: written(value[:place] + digit + value[place:]),
            lambda: written(value[:place] + bytes([rng.randrange(256)]) + value[place + 1 :]),
            lambda: written(rng.randbytes(len(value))),
            lambda: written(new.ljust(len(value))[: len(value)]),
            lambda: written(new),
            lambda: written(new),
            lambda: written(b""),
            lambda: written(value, len(value) + rng.choice((-2, -1, 1, 2, 8, 1000))),
            lambda: content[: start + 4] + rng.choice(_VRS).encode() + content[start + 6 :],
            lambda: content[: start + 2] + bytes([content[start + 2] ^ (1 << rng.randrange(8))]) + content[start + 3 :],
            lambda: content[:start] + content[end:],
            lambda: content[:end] + content[start:end] + content[end:],
        )
    )()


def stored_otherwise(rng: random.Random, content: bytes) -> bytes:
    """The same image or object in another encoding that it may well have: compressed, deflated, or as a label map."""
    file = pydicom.dcmread(io.BytesIO(content))
    if rng.random() < 0.4:
        file.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    elif "SegmentSequence" not in file:
        file.compress(RLELossless)
    else:
        voxels = np.unpackbits(np.frombuffer(file.PixelData, np.uint8), bitorder="little")
        voxels = voxels[: file.NumberOfFrames * file.Rows * file.Columns] * rng.choice((1, 1, 2, 200))
        file.SOPClassUID, file.SegmentationType = "1.2.840.10008.5.1.4.1.1.66.7", "LABELMAP"
        bits = rng.choice((8, 16))
        file.BitsAllocated, file.BitsStored, file.HighBit = bits, bits, bits - 1
        file.PixelData = voxels.astype(f"<u{bits // 8}").tobytes()
        if rng.random() < 0.5:
            file.compress(RLELossless)
    written = io.BytesIO()
    file.save_as(written)
    return written.getvalue()


def _changed(rng: random.Random, content: bytes) -> bytes:
    file = pydicom.dcmread(io.BytesIO(content), force=True)
    for _ in range(rng.choice((1, 1, 2, 3, 5))):
        holder = rng.choice(_holders(file))
        tag = _chosen(rng, holder)
        if tag is not None:
            rng.choice(_CHANGES)(rng, holder, tag)
    if rng.random() < 0.15:
        file.file_meta[0x00020010] = _raw(0x00020010, "UI", rng.choice(_SYNTAXES).encode())
    if rng.random() < 0.05:
        del file.file_meta[rng.choice(list(file.file_meta.keys()))]
    written = io.BytesIO()
    pydicom.dcmwrite(
        written, file, implicit_vr=False, little_endian=True, enforce_file_format=False, force_encoding=True
    )
    return written.getvalue()


def _holders(file: Dataset) -> list[Dataset]:
    """The file's own dataset, twice, and items of its sequences, a few of each."""
    found, at = [file, file], 1
    while at < len(found) and len(found) < 60:
        for element in found[at].values():
            if not isinstance(element, RawDataElement) and element.VR == "SQ":
                found += list(element.value)[:3]
            elif isinstance(element, RawDataElement) and element.VR == "SQ":
                found += list(found[at][element.tag].value)[:3]
        at += 1
    return found


def _chosen(rng: random.Random, holder: Dataset) -> Any:
    tags = list(holder.keys())
    shaping = [Tag(word) for word in _SHAPE if word in holder]
    if not tags:
        return None
    return rng.choice(shaping) if shaping and rng.random() < 0.5 else rng.choice(tags)


def _raw(tag: Any, vr: str, value: bytes) -> RawDataElement:
    value += b" " * (len(value) % 2)
    return RawDataElement(Tag(tag), vr, len(value), value, 0, False, True)


def _vr(holder: Dataset, tag: Any) -> str:
    return str(holder[tag].VR)


def _drop(rng: random.Random, holder: Dataset, tag: Any) -> None:
    del holder[tag]


def _empty(rng: random.Random, holder: Dataset, tag: Any) -> None:
    vr = _vr(holder, tag)
    holder[tag] = pydicom.DataElement(tag, "SQ", []) if vr == "SQ" else _raw(tag, vr, b"")


def _other_value(rng: random.Random, holder: Dataset, tag: Any) -> None:
    vr = _vr(holder, tag)
    if vr == "SQ":
        return
    if size := _BINARY.get(vr):
        holder[tag] = _raw(
            tag, vr, rng.choice((b"\0" * size, b"\xff" * size, rng.randbytes(size), rng.randbytes(size - 1)))
        )
    else:
        text = rng.choice(NUMBERS if vr in ("DS", "IS") and rng.random() < 0.7 else TEXTS)
        encoded = text.encode("utf-8") if rng.random() < 0.9 else b"\xff\xfe" + text.encode("utf-16-le")
        holder[tag] = _raw(tag, vr, encoded[:65_000])


def _several_values(rng: random.Random, holder: Dataset, tag: Any) -> None:
    element = holder[tag]
    if element.VR == "SQ":
        element.value = list(element.value) * rng.choice((2, 3))
    elif size := _BINARY.get(element.VR):
        holder[tag] = _raw(tag, element.VR, rng.randbytes(size * rng.choice((2, 3, 7))))
    else:
        text = "\\".join([str(element.value)[:200]] * rng.choice((2, 3, 100)))
        holder[tag] = _raw(tag, element.VR, text.encode("utf-8", "replace")[:65_000])


def _other_vr(rng: random.Random, holder: Dataset, tag: Any) -> None:
    holder[tag] = _raw(tag, rng.choice(_VRS), rng.choice((b"", b"\0\0", b"1", rng.randbytes(6), CANARY.encode())))


def _items(rng: random.Random, holder: Dataset, tag: Any) -> None:
    element = holder[tag]
    if element.VR != "SQ" or not element.value:
        return
    items = list(element.value)
    rng.choice((items.pop, lambda: items.append(Dataset()), items.reverse, lambda: items.insert(0, items[-1])))()
    element.value = items


def _pixels(rng: random.Random, holder: Dataset, tag: Any) -> None:
    if "PixelData" not in holder:
        return
    data = bytes(holder.PixelData)
    changed = rng.choice(
        (data[: len(data) // 2], data + bytes(1000), b"", rng.randbytes(len(data)), b"\xfe\xff\x00\xe0" + data)
    )
    holder[0x7FE00010] = _raw(0x7FE00010, rng.choice(("OB", "OW", "UN", "OF")), changed)


_CHANGES = (_drop, _empty, _other_value, _other_value, _several_values, _other_vr, _items, _pixels)


def table(rng: random.Random, content: bytes) -> bytes:
    """A table or list of lines with fields and lines changed; or with bytes changed."""
    if rng.random() < 0.2:
        return several(rng, content, octets)
    lines = content.decode("utf-8", "replace").splitlines()
    for _ in range(rng.choice((1, 1, 2, 5))):
        at = rng.randrange(len(lines)) if lines else 0
        mark = rng.choice((",", ",", ";", "\t", "=", " "))
        fields = lines[at].split(mark) if lines else [""]
        place = rng.randrange(len(fields))
        act = rng.randrange(8)
        if act == 0 and lines:
            del lines[at]
        elif act == 1:
            lines.insert(at, rng.choice(lines) if lines else "")
        elif act == 2:
            lines.insert(at, rng.choice(TEXTS))
        elif act == 3:
            fields.pop(place)
        elif act == 4:
            fields.insert(place, rng.choice(TEXTS))
        elif act == 5:
            fields[place] = f'"{fields[place]}'
        else:
            fields[place] = rng.choice(TEXTS)
        if act >= 3 and lines:
            lines[at] = mark.join(fields)
    joined = rng.choice(("\n", "\n", "\r\n", "\r", "\n\n")).join(lines)
    return joined.encode(rng.choice(("utf-8",) * 6 + ("utf-16", "utf-8-sig", "utf-32")), "surrogatepass")


_PARTS_XML = (
    b"<c r=",
    b"<row",
    b"<v>",
    b"<t>",
    b"</",
    b'"s"',
    b"<is>",
    b"<f>",
    b"count=",
    b"<sheet ",
    b"Target=",
    b"standalone",
)


def xlsx(rng: random.Random, content: bytes) -> bytes:
    """A workbook with parts missing, doubled, renamed, cut, or with other XML in them; or with bytes changed."""
    if rng.random() < 0.3:
        return several(rng, content, octets)
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    for _ in range(rng.choice((1, 1, 2, 4))):
        name = rng.choice(list(parts))
        act = rng.randrange(6)
        if act == 0:
            del parts[name]
        elif act == 1:
            parts[rng.choice(("xl/worksheets/sheet1.xml", "xl/workbook.xml", "../x", "xl\\a.xml", name.upper()))] = (
                parts[name]
            )
        elif act == 2:
            parts[name] = octets(rng, parts[name])
        else:
            mark = rng.choice(_PARTS_XML)
            with_what = rng.choice(
                (b"", b"<v>", b"<!DOCTYPE a [<!ENTITY b 'c'>]>", CANARY.encode(), b"1e999", b"&#0;", b"<t>" * 50)
            )
            parts[name] = parts[name].replace(mark, with_what, rng.choice((1, 3, -1)))
        if not parts:
            break
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w", rng.choice((zipfile.ZIP_DEFLATED, zipfile.ZIP_STORED))) as archive:
        for name, part in parts.items():
            archive.writestr(name, part)
    return written.getvalue()


def parquet(rng: random.Random, content: bytes) -> bytes:
    """A table of saved evidence with cells, rows and columns changed; or with bytes changed."""
    if rng.random() < 0.3:
        return several(rng, content, octets)
    columns = pq.read_table(io.BytesIO(content)).to_pydict()
    name = rng.choice(list(columns))
    values = columns[name]
    act = rng.randrange(4)
    if act == 0 and len(columns) > 1:
        del columns[name]
    elif act == 1:
        columns = {key: found[:-1] for key, found in columns.items()}
    elif act == 2:
        columns = {key: found + found[:1] for key, found in columns.items()}
    elif values:
        like = next((one for one in values if one is not None), "")
        others: tuple[Any, ...] = (None, *TEXTS) if isinstance(like, str) else (None, -1, 10**9)
        values[rng.randrange(len(values))] = rng.choice(others)
    written = io.BytesIO()
    try:
        pq.write_table(pa.table(columns), written)
    except (pa.ArrowException, TypeError):
        return several(rng, content, octets)
    return written.getvalue()


_TOML = (
    "[[[[[[",
    f"a = {'[' * 3000}",
    f"a = {'9' * 6000}",
    "a = 1979-05-27T07:32:00Z",
    "a = inf",
    "a = '''",
    "[[waivers]]",
    "rule = 3",
    "patients = [[]]",
    "until = 0001-01-01",
    "x.y.z = 1",
    f'"{CANARY}" = "{CANARY}"',
    "reason = true",
)


def toml(rng: random.Random, content: bytes) -> bytes:
    """A TOML file with lines and values changed; or with bytes changed."""
    if rng.random() < 0.25:
        return several(rng, content, octets)
    lines = content.decode().splitlines()
    for _ in range(rng.choice((1, 1, 2, 4))):
        at = rng.randrange(len(lines))
        act = rng.randrange(5)
        if act == 0 and len(lines) > 1:
            del lines[at]
        elif act == 1:
            lines.insert(at, rng.choice(_TOML))
        elif act == 2:
            lines.insert(at, lines[rng.randrange(len(lines))])
        elif "=" in lines[at]:
            key = lines[at].partition("=")[0]
            value = rng.choice(("1", "-1", "true", '""', "[]", "{}", "1e400", "nan", f'"{CANARY}"', '["a", 1]', "1.5"))
            lines[at] = f"{key}= {value}"
    return "\n".join(lines).encode()


def tree(rng: random.Random, content: bytes) -> bytes:
    """A JSON file with keys and values changed; or with bytes changed."""
    if rng.random() < 0.2:
        return several(rng, content, octets)
    raw = json.loads(content)
    for _ in range(rng.choice((1, 1, 2, 4))):
        holder: Any = raw
        for _ in range(rng.randrange(1, 7)):
            inner = [
                one
                for one in (holder.values() if isinstance(holder, dict) else holder)
                if isinstance(one, dict | list) and one
            ]
            if not inner:
                break
            holder = rng.choice(inner)
        keys = list(holder) if isinstance(holder, dict) else list(range(len(holder)))
        key = rng.choice(keys)
        if rng.random() < 0.25:
            del holder[key]
        else:
            holder[key] = rng.choice(
                (None, True, -1, 1.5, 10**30, "", LONG[:9000], CANARY, [], {}, [[]], {"a": None}, [holder[key]])
            )
        if not raw:
            break
    return json.dumps(raw).encode()
