"""Faults of the .tcia manifest (MAN)."""

from __future__ import annotations

from crlm_qc.synthetic.faults._registry import fault
from crlm_qc.synthetic.faults._site import Site

LIST = "ListOfSeriesToDownload="


@fault("manifest-list-missing", triggers=("MAN001",), doc="The manifest lost its list of series.", scope="release")
def _(site: Site) -> None:
    with site.manifest() as lines:
        del lines[lines.index(LIST) :]


@fault("manifest-entry-invalid", triggers=("MAN002",), doc="A line of the manifest's list is no UID.", scope="release")
def _(site: Site) -> None:
    with site.manifest() as lines:
        lines.insert(lines.index(LIST) + 1, "1.3.6.1.4.1.14519.5.2.1.9203.8273.x")


@fault(
    "manifest-commas",
    triggers=("MAN002",),
    doc="The UIDs of the manifest's list are parted by commas, and a comment stands between them.",
    scope="release",
)
def _(site: Site) -> None:
    with site.manifest() as lines:
        start = lines.index(LIST) + 1
        lines[start:] = ["# the CT and its segmentation", *(f"{line}," if line else line for line in lines[start:])]


@fault("manifest-entry-twice", triggers=("MAN003",), doc="The manifest lists the patient's CT series twice.")
def _(site: Site) -> None:
    uid = str(site.header(site.ct_files[0]).SeriesInstanceUID)
    with site.manifest() as lines:
        lines.insert(lines.index(uid), uid)


@fault("manifest-entry-unknown", triggers=("MAN004",), doc="The manifest lists a series that nobody else knows.")
def _(site: Site) -> None:
    uid = str(site.header(site.ct_files[0]).SeriesInstanceUID)
    with site.manifest() as lines:
        lines.insert(lines.index(uid), site.new_uid(uid))


@fault("manifest-entry-missing", triggers=("MAN005",), doc="The manifest leaves out the patient's CT series.")
def _(site: Site) -> None:
    uid = str(site.header(site.ct_files[0]).SeriesInstanceUID)
    with site.manifest() as lines:
        lines.remove(uid)


@fault(
    "download-ended-early",
    triggers=("MAN008", "REL001", "XRF001"),
    doc="The download ended early: the patient's folder is not on disk, nor is metadata.csv, and the manifest is whole.",
)
def _(site: Site) -> None:
    site.remove(site.release.collection / site.patient)
    site.remove(site.release.metadata)


@fault(
    "manifest-older-edition",
    triggers=("MAN006",),
    doc="An older manifest lies beside that of the release, and lacks the patient's series.",
    scope="release",
)
def _(site: Site) -> None:
    uids = {str(site.header(path).SeriesInstanceUID) for path in (site.ct_files[0], site.dso_file)}
    path = site.release.manifest
    lines = [line for line in path.read_text(encoding="utf-8").splitlines() if line not in uids]
    site.write(path.with_name("A-manifest.tcia"), "\n".join(lines).encode())
