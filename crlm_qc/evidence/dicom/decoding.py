"""Decoders of Pixel Data, and why its values can't be had."""

from __future__ import annotations

from typing import Any

from pydicom.pixels.decoders.base import get_decoder
from pydicom.uid import UID

from crlm_qc.evidence import limits
from crlm_qc.evidence.dicom.encoding import pixels_of
from crlm_qc.evidence.limits import refuse
from crlm_qc.model.tables import ENCAPSULATED

FLOAT_VRS = ("OF", "OD")
"""VRs of Float and Double Float Pixel Data (PS3.3 C.7.6.24), which are no integers."""
NO_FLOATS = "Float Pixel Data is not read"


class Unmeasured(Exception):  # noqa: N818 - a state of the file, not of the program
    """Masks or CT values can't be measured.

    Parameters
    ----------
    status : str
        `no-decoder`, `failed`, or `misread` for masks whose bits are packed otherwise than the standard says.
    detail : str
        Why, with no text from the file.
    """

    def __init__(self, status: str, detail: str) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail


class NotGiven(Unmeasured):
    """The disk would not give the pixels."""


_OTHER_KINDS = ("does not support", "bits allocated")
"""What pydicom says where a decoder of the transfer syntax reads other pixels than these, such as those of more bits."""


def undecoded(decoder: Any, error: Exception) -> Unmeasured:
    """Why a decoder failed; the data are not blamed for what it does not read at all.

    Parameters
    ----------
    decoder : pydicom.pixels.decoders.base.Decoder
        That of the transfer syntax.
    error : Exception
        What it raised.
    """
    names = ", ".join(decoder.available_plugins)
    if isinstance(error, RuntimeError) and any(words in str(error) for words in _OTHER_KINDS):
        return Unmeasured("no-decoder", f"the decoder at hand ({names}) does not read pixels of this kind")
    return Unmeasured("failed", f"Pixel Data can't be decoded ({names}: {type(error).__name__})")


def refuse_blown(rows: int, columns: int, frames: int, length: int, beginning: bytes) -> None:
    """Raise if compressed Pixel Data claims more pixels than so few bytes can be of.

    Parameters
    ----------
    rows, columns, frames : int
        Size of the image.
    length : int
        Bytes of all fragments.
    beginning : bytes
        The first of the first fragment, whose codec may claim another size than the header.

    Raises
    ------
    Beyond
        It does, or a frame is larger than any.
    """
    pixels = max(rows * columns, pixels_of(beginning) or 0)
    refuse(pixels, limits.FRAME_PIXELS, "a frame has {} pixels")
    each = length // max(frames, 1)
    most = limits.BLANK_FRAME_PIXELS + limits.PIXELS_A_BYTE * each
    refuse(pixels, most, f"a frame of {each:,} compressed bytes claims {{}} pixels")


def decoder_for(transfer_syntax: str | None) -> Any:
    """The decoder of a transfer syntax.

    Raises
    ------
    Unmeasured
        There is none, or its package is not installed; or Pixel Data can't be what its transfer syntax says.
    """
    if transfer_syntax == ENCAPSULATED:
        raise Unmeasured("failed", "Pixel Data is in fragments, under a transfer syntax without compression")
    try:
        decoder = get_decoder(UID(transfer_syntax or ""))
    except NotImplementedError:
        raise Unmeasured("no-decoder", "no decoder is known for this transfer syntax") from None
    if not decoder.is_available:
        packages = "; or ".join(part.partition(" - requires ")[2] for part in decoder.missing_dependencies)
        raise Unmeasured("no-decoder", f"a decoder is missing: install {packages}")
    return decoder
