"""Headers of objects, read with the reader of usual sequences and by pydicom alone."""

from __future__ import annotations

import io
import random
from typing import Any
from unittest.mock import patch

import numpy as np
from pydicom.datadict import dictionary_has_tag, dictionary_VR
from pydicom.dataelem import RawDataElement, convert_raw_data_element
from pydicom.dataset import Dataset
from support import tiny
from support.sources import UNREAD

from crlm_qc.collection.reading import load_profile
from crlm_qc.evidence.ct import identity
from crlm_qc.evidence.deidentification import IdentifierScan
from crlm_qc.evidence.dicom import items, values
from crlm_qc.evidence.dicom.conformance import ValueScan, each_once
from crlm_qc.evidence.dicom.header import Unreadable, quiet, read_header
from crlm_qc.evidence.dso import dso_rows
from crlm_qc.evidence.limits import Beyond

_usual_items = items.usual_items
_MASK = np.ones((8, 16), np.uint8)
_FRAMES = [(segment, at, _MASK) for segment in (1, 2, 3) for at in range(1, 5)]


def objects() -> list[bytes]:
    """Objects of a few frames: a plain one, one with texts in another character set, one with what is seldom there."""
    plain = tiny.segmentation(_FRAMES, ("Liver", "Tumor_1", "Tumor_2"), slices=6)
    named = tiny.segmentation(_FRAMES, ("Leber", "L\u00e4sion", "Gef\u00e4\u00df"), slices=4)
    named.SpecificCharacterSet = "ISO_IR 100"
    rich = tiny.segmentation(_FRAMES[:6], ("Liver", "Tumor_1"))
    for at, group in enumerate(rich.PerFrameFunctionalGroupsSequence):
        group["PlanePositionSequence"].is_undefined_length = at % 3 == 1
        own = Dataset()
        own.SpecificCharacterSet, own.PatientName = "ISO_IR 192", "M\u00fcller^\u00c4"
        group.add_new(0x00111010, "SQ", [own])
        group.add_new(0x00110010, "LO", "SOMEBODY")
    return [tiny.to_bytes(ds) for ds in (plain, named, rich)]


def in_sequences(rng: random.Random, content: bytes) -> bytes:
    """The file with a few bytes changed near the heads of items and elements in its sequences."""
    changed = bytearray(content)
    heads = [at for at in range(len(content) - 16) if content[at : at + 4] == b"\xfe\xff\x00\xe0"]
    for _ in range(rng.choice((1, 1, 2, 4))):
        at = min(rng.choice(heads) + rng.randrange(40), len(content) - 4)
        new = rng.choice(
            (
                b"\0",
                b"\xff",
                b"\xff\xff\xff\xff",
                b"SQ",
                b"UN",
                b"UT",
                b"\x04",
                b"\xe9",
                b"\x1b",
                b"0",
                b"\xfe\xff\x0d\xe0",
            )
        )
        changed[at : at + len(new)] = new
    return bytes(changed)


def read(content: bytes, *, plain: bool = False) -> Any:
    """What is made of a header by all who read its sequences; or what they raise."""
    quiet()
    if not plain:
        return _made(content)
    with patch.object(items, "usual_items", _by_pydicom), patch.object(values, "usual_items", _by_pydicom):
        return _made(content)


def _by_pydicom(data: Any, tag: int, element: RawDataElement) -> list[Any] | None:
    """What `usual_items` gives, read by pydicom; it is not put into the data set, as that of `usual_items` is not."""
    # What it leaves to pydicom is asked of the data set, which reads the creator of a private sequence too, and may fail by it.
    if _usual_items(data, tag, element) is None:
        return None
    try:
        return items.list_of(convert_raw_data_element(element, encoding=data.original_character_set).value)
    except Exception:  # noqa: BLE001 - bytes that make no sense may make it raise anything
        return None


def _made(content: bytes) -> Any:
    try:
        header = read_header(io.BytesIO(content), UNREAD)
        elements = _elements(header.data)
        # What pydicom makes of one that is none stays in its data sets, and shows in what is read of them later.
        if ODD in repr(elements):
            return elements
        wrong = each_once(ValueScan().by_element(header.data))
        rows = dso_rows(header, {"patient": "p", "path": "f", **identity(header)})
        scan = IdentifierScan("p", load_profile())
        scan.add(header)
    except (Unreadable, Beyond) as reason:
        return str(reason)
    except Exception as error:  # noqa: BLE001 - both must raise the same, whatever it is
        return type(error).__name__
    listed = (rows.dso, rows.references, rows.frames, rows.segments, rows.invalid_uids, scan.rows(), scan.too_deep)
    return elements, wrong, repr(listed)


ODD = "no sequence, or none that can be read"


def _elements(data: Any, depth: int = 0) -> list[Any]:
    """Every element of the data set's items at all depths, raw ones with all that pydicom tells of them."""
    found: list[Any] = []
    for key, element in list(data.items()):
        tag = key | 0
        named = dictionary_VR(tag) if dictionary_has_tag(tag) else None
        if element.VR != "SQ" and (element.VR or named) != "SQ":
            if depth:
                found.append((tag, *element[1:]) if isinstance(element, RawDataElement) else (tag, repr(element.value)))
            continue
        inner = items.items_of(data, tag, element)
        found.append((tag, [_elements(item, depth + 1) for item in inner] if depth < items.MAX_DEPTH else []))
        if named not in (None, "SQ") or (element.value and not inner):
            found.append(ODD)
    return found
