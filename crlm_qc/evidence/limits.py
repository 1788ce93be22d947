"""Every limit of what is read, in one place, with its unit and where it comes from.

They keep small files small work: what a file claims, or unpacks to, is bounded by what real files hold, several times
over, before time or memory is spent on it. What is beyond is left unread, and a finding names it. Nobody tunes them.
"""

from __future__ import annotations

from typing import Final

MIB: Final = 1 << 20

# Tables and lists. The published ones describe 197 patients and 394 series.

METADATA_BYTES: Final = 16 * MIB
"""Bytes of metadata.csv: the published one has 0.2 MB."""
MANIFEST_BYTES: Final = MIB
"""Bytes of a manifest: 394 entries of 64 characters are 0.03 MB."""
LIST_ROWS: Final = 10_000
"""Rows of metadata.csv, and entries of a manifest: 25 times the published ones."""
WORKBOOK_BYTES: Final = 64 * MIB
"""Bytes of a workbook, or its CSV export, and of all parts of a workbook unpacked: the published one unpacks to 1.5 MB."""
STYLES_BYTES: Final = MIB
"""Bytes of a workbook's styles, unpacked: the published one has 7 kB."""
WORKBOOK_PARTS: Final = 1000
"""Parts of a workbook: the published one has 14."""
WORKBOOK_TAGS: Final = 1_000_000
"""XML tags of all parts of a workbook, opening and closing: the published one has 74,000, most of them of blank cells."""
WORKBOOK_SHEETS: Final = 100
"""Sheets of a workbook: the published one has 2."""
SHEET_COLUMNS: Final = 256
"""Columns read of a sheet: the widest published edition has 36."""
SHEET_ROWS: Final = 200_000
"""Rows walked of one sheet; one far below stands there by mistake. The published data dictionary has 16,384, nearly all blank."""
WALKED_ROWS: Final = 1_000_000
"""Rows walked of all sheets, blank ones too."""
FILLED_ROWS: Final = 2000
"""Rows of a sheet that hold something: the published one has 198."""
SHEET_CELLS: Final = 200_000
"""Cells of the patient sheet, blank ones too: rows by headings. The published one has 7,000."""
CELL_CHARACTERS: Final = 32_767
"""Characters of a cell, which is all that Excel lets it hold (its specifications and limits)."""
ALL_CHARACTERS: Final = 8_000_000
"""Characters of all cells: the published workbook has under 100,000."""
SNIFFED_BYTES: Final = 16 * MIB
"""Bytes unpacked of an unknown workbook to tell whether it is the clinical one; its headings are among the first."""

# DICOM files. The largest published segmentation object has 22 MB, 657 frames of 512 x 512, 9 segments and some 25,000
# elements in its header; the longest CT series has 240 slices.

INFLATED_BYTES: Final = 64 * MIB
"""Bytes that a deflated data set inflates to (PS3.5 A.5): three times the largest object."""
HEADER_ELEMENTS: Final = 100_000
"""Elements and items of a header, at all depths."""
BYTES_AN_ELEMENT: Final = 128
"""Bytes of the file that there must be for each element beyond those: an object of many frames has many of both."""
SEGMENTS: Final = 256
"""Segments of an object, declared or held by its masks: the published ones have 9 at most, whole-body models some 120, and a
label map of 8 bits can hold no more."""
BARE_FRAMES: Final = 10_000
"""Frames of an object without Per-Frame Functional Groups, which the standard asks for."""
FRAME_PIXELS: Final = 4096 * 4096
"""Pixels of a frame: those of CT have 512 x 512, seldom 1024 x 1024."""
BLANK_FRAME_PIXELS: Final = 1024 * 1024
"""Pixels of a frame that a codec may make any few bytes of: a blank JPEG 2000 frame takes some 100 bytes whatever its size."""
PIXELS_A_BYTE: Final = 4096
"""Pixels beyond those that a byte of compressed Pixel Data may stand for. RLE reaches 64 (PS3.5 G.3: 128 bytes of a run in 2),
JPEG 256 (two bits for 8 x 8 samples), and JPEG-LS a row of blank pixels in a few bits; real images and masks stay below 1,000."""
MASK_VOXELS: Final = 1 << 29
"""Voxels of all frames of an object: three times those of the largest."""
VOXELS_A_BYTE: Final = 256
"""Voxels that there may be for each byte of the file where that is more: frames have headers, and masks have outlines."""
HELD_MASK_BYTES: Final = 512 * MIB
"""Bytes of all masks of an object, one bit a voxel; of a label map each label of each frame has a mask. The largest object has
22 MB, and a label map of 60 segments on each of 240 slices 450 MiB."""
HELD_BYTES_A_BYTE: Final = 8
"""Bytes of masks that there may be for each byte of the file where that is more."""
BOX_VOXELS: Final = 1 << 26
"""Voxels that are unpacked at once, of the box around one segment or of a compressed CT image: 256 slices of 512 x 512."""
BOX_VOXELS_A_BYTE: Final = 8
"""Voxels of it for each byte of the file where that is more: what masks without compression hold."""
ALL_BOXES: Final = 8
"""How many boxes of the largest size all segments together may take."""
PAIRS: Final = 1 << 19
"""Pairs of segments that are compared, over all planes: 60 segments on each of 240 slices are 425,000."""

# Archives. A patient of the collection has 55 MB in 90 files.

MEMBER_BYTES: Final = 1024 * MIB
"""Bytes that a member of an archive unpacks to: 46 times the largest object."""
MEMBER_RATIO: Final = 200
"""How many times larger a member may be unpacked, or a whole archive: CT images get half as large, masks a tenth."""
FREE_BYTES: Final = 64 * MIB
"""Bytes that anything may unpack to, whatever the ratio: blank masks get a thousandth as large."""
SPOOL_FREE: Final = 512 * MIB
"""Bytes of the temporary folder that are left free."""


class Beyond(Exception):  # noqa: N818 - a state of the file, not of the program
    """A file asks for more than a limit allows; its words say for what, with no text from the file."""


def refuse(found: int, most: int, what: str) -> None:
    """Raise if something is beyond its limit.

    Parameters
    ----------
    found, most : int
        What the file asks for, and the limit.
    what : str
        What it is of, with a place for the number: `{} segments`.

    Raises
    ------
    Beyond
        It is.
    """
    if found > most:
        raise Beyond(f"{what.format(f'{found:,}')}; {most:,} at most are read")
