"""Which pictures are chosen: where the fault is, no more than can be looked at, and none of what must not be shown."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import pytest
from support.frames import PATIENTS, PIXEL, SPACING, Case, clean, run

from crlm_qc.collection.profile import Profile
from crlm_qc.model.finding import Finding, Kind, Subject, fingerprint
from crlm_qc.model.picture import Picture, PictureMode, PictureRequest, Plane, Space, View
from crlm_qc.model.severity import Severity
from crlm_qc.model.sight import Frame, Outside, Place, Shared, Sight, Slice, Small
from crlm_qc.pictures.choose import choose_pictures, deserving, overview, segments_of
from crlm_qc.rulebook.context import Context
from crlm_qc.rules import registry

FIRST, SECOND = PATIENTS
OBJECT = clean().dso()["path"]


def finding(
    code: str,
    subject: Subject | None = None,
    severity: Severity = Severity.ERROR,
    *,
    places: Sequence[Place] = (),
    **values,
) -> Finding:
    """A finding of a rule that is seen as the rule says."""
    subject = subject or Subject(Kind.SERIES, "x")
    seen = registry()[code].seen
    values["sight"] = None if seen is None else Sight(seen, tuple(places))
    base = Finding(code, severity, subject, "A message.", "", "", FIRST, 1, (), fingerprint(code, FIRST, subject))
    return replace(base, **values)


def slices(case: Case, *names: str) -> list[Slice]:
    """Slices of the first patient by their file names."""
    paths = {row["path"].rpartition("/")[2]: row["path"] for row in case.of("slices") if row["patient"] == FIRST}
    return [Slice(paths[name]) for name in names]


def chosen(
    case: Case, profile: Profile, findings: Sequence[Finding] | None = None, mode: PictureMode = PictureMode.AUTO
) -> list[PictureRequest | Picture]:
    found = run(case, profile).findings if findings is None else findings
    return choose_pictures(Context(case.evidence(), profile), found, mode)


def requests(case: Case, profile: Profile, findings: Sequence[Finding] | None = None) -> list[PictureRequest]:
    found = chosen(case, profile, findings)
    assert all(isinstance(one, PictureRequest) for one in found), found
    return [one for one in found if isinstance(one, PictureRequest)]


def shown(request: PictureRequest) -> str:
    return request.images[0].path.rpartition("/")[2]


def outlined(request: PictureRequest) -> set[int | None]:
    return {mask.segment for mask in request.masks}


def best(case: Case, placement: str, about: str | None = None, shift: int = 0) -> Case:
    """The liver does not lie right, and fits better at a placement."""
    rows = case.of("alignments")
    case.change(rows, hu_spread=40.0, hu_below_minus10=0.3)
    row = next(row for row in rows if (row["placement"], row["about"], row["shift"]) == (placement, about, shift))
    row.update(hu_spread=14.0, hu_below_minus10=0.01)
    return case


def test_a_clean_release_has_none(profile: Profile) -> None:
    assert chosen(clean(), profile) == []


def test_all_have_the_middle(profile: Profile) -> None:
    found = chosen(clean(), profile, [], PictureMode.ALL)
    assert [(one.patient, one.title, one.findings) for one in found if isinstance(one, PictureRequest)] == [
        (patient, "Largest cross-section of the liver", ()) for patient in PATIENTS
    ]
    assert chosen(clean(), profile, [finding("SEG010")], PictureMode.NONE) == []


def test_the_middle_is_where_the_liver_is_largest(profile: Profile) -> None:
    case = clean()
    frame = case.frames(1)[4]
    frame["voxels"] = 30000
    (one,) = requests(case, profile, [finding("SEG010")])
    assert shown(one) == "1-16.dcm"
    assert outlined(one) == {1}
    assert one.sides == ("R", "A", "L", "P")
    assert one.caption == "InstanceNumber 60, 1-16.dcm, z -375 mm. SEG010"
    assert one.alt == "axial, InstanceNumber 60, 1-16.dcm, z -375 mm"
    assert one.about == "SEG010: A message."


def test_prone(profile: Profile) -> None:
    case = clean()
    flipped = {"row_x": -1.0, "col_y": -1.0}
    case.change(case.of("slices"), **flipped)
    case.change(case.of("frames"), **flipped)
    case.change(case.of("dsos"), **flipped)
    (one,) = requests(case, profile, [finding("SEG010")])
    assert one.sides == ("L", "P", "R", "A")


def gap_in(case: Case, profile: Profile) -> list[PictureRequest]:
    return requests(case, profile, [one for one in run(case, profile).findings if one.rule == "CTS008"])


def test_a_missing_slice_is_seen_from_the_front_and_beside_the_gap(profile: Profile) -> None:
    case = clean()
    case.remove_ct(2)
    found = gap_in(case, profile)
    assert [one.plane for one in found] == [Plane.AXIAL, Plane.AXIAL, Plane.CORONAL, Plane.CORONAL]
    # The other slice beside the gap has no mask on it, and would show nothing of it.
    assert [shown(one) for one in found[1:2]] == ["1-03.dcm"]
    whole, enlarged = found[2:]
    assert whole.group == enlarged.group
    assert len(whole.images) == 23
    heights = [image.at.height for image in whole.images]
    assert heights == sorted(heights)
    assert max(b - a for a, b in pairwise(heights)) == 2 * SPACING
    # Through the liver's centroid, 20 mm in front of which no row lies.
    assert whole.images[0].at.line == pytest.approx((-20 + 180) / PIXEL)
    assert whole.sides == enlarged.sides == ("R", "H", "L", "F")
    assert whole.spaces == enlarged.spaces == (Space(-310.0, -300.0, "gap 10 mm"),)
    assert "1 gap, boxed: 10 mm where slices lie 5 mm apart" in whole.caption
    assert (whole.view, enlarged.view) == (View.FRAMED, View.ENLARGED)
    assert enlarged.part is not None
    assert enlarged.part.low < -310
    assert enlarged.part.high > -300
    assert enlarged.title == "Gap of 10 mm"


def test_slices_beside_a_gap_without_a_mask_are_not_shown(profile: Profile) -> None:
    case = clean()
    case.remove_ct(15)
    case.drop("frames", lambda row: False)
    assert [one.plane for one in gap_in(case, profile)] == [Plane.AXIAL, Plane.CORONAL, Plane.CORONAL]


def test_a_gap_that_is_wide_needs_not_be_enlarged(profile: Profile) -> None:
    case = clean()
    for name in range(11, 16):
        case.remove_ct(name)
    (whole,) = [one for one in gap_in(case, profile) if one.plane is Plane.CORONAL]
    assert (whole.view, whole.part) == (View.WHOLE, None)
    assert [space.label for space in whole.spaces] == ["gap 30 mm"]


def test_a_missing_slice_of_many_thin_ones(profile: Profile) -> None:
    """The gap lies beside the outermost slice: the part that is enlarged goes a little beyond it."""
    case = clean()
    case.remove_ct(23)
    *_, enlarged = gap_in(case, profile)
    assert enlarged.spaces == (Space(-415.0, -405.0, "gap 10 mm"),)
    assert enlarged.part is not None
    assert enlarged.part.low < -415 - SPACING / 2


def test_a_sheared_stack_is_seen_from_the_side(profile: Profile) -> None:
    case = clean()
    for row in case.of("slices"):
        row["position_y"] -= (row["position_z"] + 300) * 0.05
    found = requests(case, profile, [finding("CTS010")])
    (sagittal,) = [one for one in found if one.plane is Plane.SAGITTAL]
    assert sagittal.sides == ("A", "H", "P", "F")
    starts = [image.at.start for image in sagittal.images]
    assert starts[0] - starts[-1] == pytest.approx(23 * SPACING * 0.05)


def test_at_most_three_axial_pictures(profile: Profile) -> None:
    case = clean()
    places = slices(case, *(f"1-{number:02d}.dcm" for number in range(1, 6)))
    small = finding("SEG015", Subject(Kind.SEGMENT, OBJECT, segment=2), places=[Small(2)])
    found = requests(case, profile, [finding("CTS016", places=places), small])
    assert [one.plane for one in found] == [Plane.AXIAL] * 3
    # What is small is shown whole and enlarged, before the liver at its largest; the first place of each finding comes
    # before the second of any.
    assert [one.group for one in found] == [1, 2, 2]
    assert [shown(one) for one in found] == ["1-01.dcm", "1-11.dcm", "1-11.dcm"]
    assert {one.title for one in found[1:]} == {"Tumor_1 at its largest"}
    assert [one.view for one in found[1:]] == [View.FRAMED, View.ENLARGED]


def test_notes_alone_get_one_picture(profile: Profile) -> None:
    subject = Subject(Kind.SEGMENT, OBJECT, segment=2)
    found = requests(
        clean(), profile, [finding("SEG009", subject, Severity.INFO), finding("DSO021", subject, Severity.INFO)]
    )
    assert [one.title for one in found] == ["Tumor_1 at its largest"]


def test_waived_findings_and_those_without_a_place_get_none(profile: Profile) -> None:
    segment = Subject(Kind.SEGMENT, OBJECT, segment=2)
    assert (
        deserving(
            [
                finding("SEG010", waived="accepted"),
                finding("CTS004"),
                finding("DSO003"),
                finding("XRF002"),
                finding("MET017", examples=("1-01.dcm",)),
                finding("DSO009", message="Frame 3 (Liver) names a source image.", examples=("frame 3", "1-01.dcm")),
                finding("CTS011", severity=Severity.WARNING),
                finding("SEG017"),
                finding("DSO027", segment),
                finding("SEG010", patient=None),
            ]
        )
        == {}
    )


def test_a_mirrored_mask_beside_where_it_fits(profile: Profile) -> None:
    case = best(clean(), "left-right", "image")
    stored, better = requests(case, profile, [finding("SEG013", Subject(Kind.SEGMENT, OBJECT, segment=1))])[:2]
    assert (stored.title, better.title) == ("As stored", "Mirrored left-right")
    assert stored.group == better.group
    assert stored.images == better.images
    assert stored.masks[0].to_image == pytest.approx((1, 0, 0, 0, 1, 0))
    # Column 0 comes to lie on column 511.
    assert better.masks[0].to_image == pytest.approx((-1, 0, 511, 0, 1, 0))


@pytest.mark.parametrize(
    ("placement", "about", "shift", "affine"),
    [
        ("front-back", "image", 0, (1, 0, 0, 0, -1, 511)),
        ("turned", "image", 0, (-1, 0, 511, 0, -1, 511)),
        ("rows", None, 12, (1, 0, 0, 0, 1, 12)),
        ("columns", None, -12, (1, 0, -12, 0, 1, 0)),
    ],
)
def test_other_placements_in_the_plane(profile: Profile, placement: str, about: str | None, shift: int, affine) -> None:
    case = best(clean(), placement, about, shift)
    found = requests(case, profile, [finding("SEG012", Subject(Kind.SEGMENT, OBJECT, segment=1))])
    assert found[1].masks[0].to_image == pytest.approx(affine)


def test_about_the_masks_own_middle(profile: Profile) -> None:
    case = clean()
    row = next(row for row in case.of("alignments") if row["placement"] == "left-right")
    case["alignments"].append({**row, "about": "mask"})
    case = best(case, "left-right", "mask")
    found = requests(case, profile, [finding("SEG013", Subject(Kind.SEGMENT, OBJECT, segment=1))])
    assert found[1].masks[0].to_image == pytest.approx((-1, 0, 60 + 280, 0, 1, 0))
    assert found[1].title == "Mirrored left-right about its own middle"


def test_masks_moved_along_are_seen_from_the_front(profile: Profile) -> None:
    case = best(clean(), "slices", None, 2)
    stored, better, *_ = requests(case, profile, [finding("SEG013", Subject(Kind.SEGMENT, OBJECT, segment=1))])
    assert stored.plane is better.plane is Plane.CORONAL
    before = {mask.frame: mask.at.height for mask in stored.masks}
    moved = {mask.frame: mask.at.height for mask in better.masks}
    assert {round(moved[frame] - before[frame], 6) for frame in moved} == {2 * SPACING}


def test_masks_upside_down(profile: Profile) -> None:
    case = best(clean(), "upside-down", "image")
    stored, better, *_ = requests(case, profile, [finding("SEG013", Subject(Kind.SEGMENT, OBJECT, segment=1))])
    before = {mask.frame: mask.at.height for mask in stored.masks}
    moved = {mask.frame: mask.at.height for mask in better.masks}
    assert {round(moved[frame] + before[frame], 6) for frame in moved} == {-300 - 415}


def test_a_mask_that_fits_nowhere_better_has_no_pair(profile: Profile) -> None:
    found = requests(clean(), profile, [finding("SEG012", Subject(Kind.SEGMENT, OBJECT, segment=1))])
    assert [one.title for one in found] == ["Largest cross-section of the liver"]


def test_a_frame_beside_its_source_slice(profile: Profile) -> None:
    case = clean()
    frame = case.frames(1)[3]
    frame["position_z"] += 2 * SPACING
    found = requests(case, profile, [one for one in run(case, profile).findings if one.rule == "DSO011"])
    stated, source = found[:2]
    assert (shown(stated), shown(source)) == ("1-15.dcm", "1-17.dcm")
    assert [mask.frame for mask in stated.masks] == [mask.frame for mask in source.masks] == [frame["frame"]]
    assert (stated.title, source.title) == ("Where it is positioned", "On its source slice")
    assert found[-1].plane is Plane.CORONAL


def test_a_frame_moved_sideways(profile: Profile) -> None:
    case = clean()
    frame = case.frames(1)[3]
    frame["position_x"] += 10 * PIXEL
    found = requests(case, profile, [one for one in run(case, profile).findings if one.rule == "DSO011"])
    assert found[0].masks[0].to_image[2] == pytest.approx(10)
    assert found[1].masks[0].to_image[2] == pytest.approx(0)


def test_masks_stored_from_another_corner_than_the_ct(profile: Profile) -> None:
    """Pictures lay masks where they are, though rules see the frames as if they were stored as the CT is."""
    case = clean()
    last = case.dso()["columns"] - 1
    case.change([case.dso(), *case.of("frames")], row_x=-1.0)
    for frame in case.of("frames"):
        frame["position_x"] += last * PIXEL
    case.frames(1)[3]["position_x"] += 10 * PIXEL
    found = requests(case, profile, [one for one in run(case, profile).findings if one.rule == "DSO011"])
    assert found[0].masks[0].to_image == pytest.approx((-1, 0, last + 10, 0, 1, 0))
    assert found[1].masks[0].to_image == pytest.approx((-1, 0, last, 0, 1, 0))


def test_a_frame_between_slices_has_no_pair_that_looks_alike(profile: Profile) -> None:
    case = clean()
    case.frames(1)[3]["position_z"] += 0.4 * SPACING
    found = requests(case, profile, [one for one in run(case, profile).findings if one.rule == "DSO011"])
    assert "Where it is positioned" not in {one.title for one in found}


def test_another_pixel_spacing_makes_the_mask_larger(profile: Profile) -> None:
    case = clean()
    case.change([*case.of("frames"), *case.of("dsos")], spacing_row=2 * PIXEL, spacing_col=2 * PIXEL)
    (one,) = requests(case, profile, [finding("DSO013")])
    assert one.masks[0].to_image == pytest.approx((2, 0, 0, 0, 2, 0))


def test_slices_by_number_and_by_position(profile: Profile) -> None:
    case = clean()
    for name, other in ((5, 6), (6, 5)):
        case.change(case.ct(name), instance_number=44 + other)
    found = requests(case, profile, [one for one in run(case, profile).findings if one.rule == "CTS011"])
    by_number, by_position = found[-2:]
    assert (by_number.title, by_position.title) == ("By InstanceNumber", "By position")
    order = {image.path.rpartition("/")[2]: image.at.height for image in by_number.images}
    assert (order["1-05.dcm"], order["1-06.dcm"]) == (-325, -320)
    order = {image.path.rpartition("/")[2]: image.at.height for image in by_position.images}
    assert (order["1-05.dcm"], order["1-06.dcm"]) == (-320, -325)


def two_tumours() -> Case:
    case = clean()
    for place, row in enumerate(case.frames(2)):
        row["voxels"] = (400, 100, 50)[place]
    case["segments"].append({**case.segment(2), "segment_number": 3, "label": "Tumor_2"})
    number = len(case.of("frames"))
    for place, row in enumerate(case.frames(2)):
        frame = {**row, "frame": number + place + 1, "segment_number": 3, "voxels": (10, 90, 400)[place]}
        case["frames"].append(frame)
    return share(case, 2, 3)


def share(case: Case, one: int, other: int) -> Case:
    owner = {"patient": FIRST, "dso": case.dso()["path"]}
    row = {**owner, "segment_a": one, "segment_b": other, "overlap_voxels": 99, "overlap_ml": 0.1}
    case["segment_pairs"].append(row)
    return case


def test_two_tumours_where_both_are(profile: Profile) -> None:
    subject = Subject(Kind.SEGMENT, OBJECT, segment=3)
    about = finding("SEG006", subject, places=[Shared(2, 3)])
    middle, framed, enlarged = requests(two_tumours(), profile, [about])
    assert (middle.view, framed.view, enlarged.view) == (View.WHOLE, View.FRAMED, View.ENLARGED)
    for one in (framed, enlarged):
        assert (shown(one), one.title) == ("1-10.dcm", "Tumor_1 and Tumor_2 overlap")
        # The slice with most is chosen when the masks are read; of equals that where both are large.
        assert [shown(other) for other in one.candidates] == ["1-10.dcm", "1-09.dcm", "1-11.dcm"]
        assert one.detail is not None
        (hatched,) = one.detail.hatched
        assert {hatched.segment, hatched.other} == {2, 3}
        assert not hatched.outside
        assert one.caption.endswith("Hatched: what Tumor_1 and Tumor_2 share. SEG006")


def test_two_findings_on_small_things(profile: Profile) -> None:
    """Both are enlarged, and where they lie comes before the liver at its largest."""
    found = requests(
        two_tumours(),
        profile,
        [
            finding("SEG006", Subject(Kind.SEGMENT, OBJECT, segment=3), places=[Shared(2, 3)]),
            finding("SEG005", Subject(Kind.SEGMENT, OBJECT, segment=2), places=[Outside(2, 1)]),
        ],
    )
    assert [(one.title, one.view) for one in found] == [
        ("Tumor_1 and Tumor_2 overlap", View.FRAMED),
        ("Tumor_1 and Tumor_2 overlap", View.ENLARGED),
        ("Tumor_1 outside the liver", View.ENLARGED),
    ]
    assert found[2].detail is not None
    (hatched,) = found[2].detail.hatched
    assert (hatched.segment, hatched.other, hatched.outside) == (2, 1, True)
    assert hatched.words == "what of Tumor_1 lies outside the liver's mask"


@pytest.mark.parametrize(
    ("places", "hatched"),
    [
        ([Shared(3, 2)], [(3, 2, False)]),
        ([Outside(3, 1)], [(3, 1, True)]),
        ([Shared(3, 2), Outside(3, 1)], [(3, 2, False), (3, 1, True)]),
    ],
)
def test_the_remnant_where_it_contradicts(profile: Profile, places: list[Place], hatched: list) -> None:
    case = two_tumours()
    case.segment(3)["label"] = "Liver Remnant"
    subject = Subject(Kind.SEGMENT, OBJECT, segment=3)
    found = requests(case, profile, [finding("SEG007", subject, places=places)])
    details = dict.fromkeys(one.detail for one in found if one.detail is not None)
    parts = [part for detail in details for part in detail.hatched]
    assert [(part.segment, part.other, part.outside) for part in parts] == hatched


def test_image_and_mask_that_are_both_mirrored(profile: Profile) -> None:
    """The mask fits the image as it lies: what both look like mirrored stands beside."""
    subject = Subject(Kind.SEGMENT, OBJECT, segment=1)
    stored, mirrored = requests(clean(), profile, [finding("SEG011", subject)])
    assert (stored.title, mirrored.title) == ("As stored", "Image and masks mirrored left-right")
    assert (stored.mirrored, mirrored.mirrored) == ("", "columns")
    assert stored.group == mirrored.group
    assert (stored.images, stored.masks, stored.sides) == (mirrored.images, mirrored.masks, mirrored.sides)
    assert "in the image as in the mask" in stored.caption
    assert "situs inversus" in mirrored.caption
    # What the masks fit better mirrored is shown so, over the image as it is.
    found = requests(best(clean(), "left-right", "image"), profile, [finding("SEG011", subject)])
    assert [one.mirrored for one in found] == ["", ""]
    assert found[1].title == "Mirrored left-right"
    # Without CT values it can't be told.
    case = clean()
    case.drop("alignments", lambda row: False)
    assert [one.mirrored for one in requests(case, profile, [finding("SEG011", subject)])] == [""]


@pytest.mark.parametrize("code", ["DID007", "DID008"])
@pytest.mark.parametrize("waived", [None, "accepted"])
def test_what_may_show_a_person_is_not_shown(profile: Profile, code: str, waived: str | None) -> None:
    (box,) = chosen(clean(), profile, [finding(code, waived=waived), finding("SEG010")])
    assert isinstance(box, Picture)
    assert box.file is None
    assert "identifies a person" in box.reason
    assert box.findings == (finding("SEG010").fingerprint,)


def test_boxes_say_why(profile: Profile) -> None:
    def reason(case: Case) -> str:
        (box,) = chosen(case, profile, [finding("SEG010")])
        assert isinstance(box, Picture)
        return box.reason

    case = clean()
    case.change(case.ct(3), sop_class_uid="1.2.840.10008.5.1.4.1.1.7")
    assert "no CT" in reason(case)
    case = clean()
    case.drop("slices", lambda row: row["patient"] != FIRST)
    assert reason(case) == "there is no CT series to show"
    case = clean()
    case.change(case.of("slices"), row_x=0.0)
    assert "no valid position and orientation" in reason(case)
    case = clean()
    case.change(case.of("slices"), spacing_row=None)
    assert "PixelSpacing" in reason(case)
    case = clean()
    for row in case.of("slices"):
        row["rows"] = None
    assert "Rows and Columns" in reason(case)


def test_without_masks_the_middle_of_the_series(profile: Profile) -> None:
    case = clean()
    case.change(case.of("dsos"), masks="failed")
    (one,) = requests(case, profile, [finding("CTS017")])
    assert (shown(one), one.title, one.masks, one.dso) == ("1-12.dcm", "Middle of the series", (), None)


def test_letters(profile: Profile) -> None:
    case = clean()
    for number, label in ((3, "Liver Remnant"), (4, "Hepatic"), (5, "Portal"), (6, "Tumor_2"), (9, "<b>Secret</b>")):
        case["segments"].append({**case.segment(2), "segment_number": number, "label": label})
    (one,) = requests(case, profile, [finding("SEG010")])
    assert [(item.letter, item.role) for item in one.outlines] == [
        ("L", "liver"), ("T1", "tumour"), ("R", "remnant"), ("H", "vessel"), ("P", "vessel"), ("T2", "tumour"), ("S9", "other"),
    ]  # fmt: skip
    assert one.outlines[-1].label == "segment 9"


def test_the_order_of_rows_does_not_matter(profile: Profile) -> None:
    findings = [finding("SEG010"), finding("CTS008", places=slices(clean(), "1-14.dcm", "1-12.dcm"))]
    once = chosen(clean(), profile, findings)
    case = clean()
    for table in ("slices", "segments", "files"):
        case[table] = case[table][::-1]
    assert chosen(case, profile, findings) == once


def test_on_request(profile: Profile) -> None:
    context = Context(clean().evidence(), profile)
    assert segments_of(context, FIRST) == {"Liver": 1, "Tumor_1": 2}
    found = [one for one in overview(context, FIRST) if isinstance(one, PictureRequest)]
    assert [(one.title, one.group) for one in found] == [
        ("Largest cross-section of the liver", 1), ("Tumor_1 at its largest", 2), ("Coronal reformat", 3)
    ]  # fmt: skip
    assert {mask.segment for one in found for mask in one.masks} == {1, 2}
    every = [one for one in overview(context, FIRST, 2) if isinstance(one, PictureRequest)]
    assert [shown(one) for one in every] == ["1-11.dcm", "1-10.dcm", "1-09.dcm"]


def test_a_finding_of_a_saved_report_has_no_sight(profile: Profile) -> None:
    assert deserving([replace(finding("SEG010"), sight=None)]) == {}


def test_a_place_in_another_object_or_series_is_not_shown(profile: Profile) -> None:
    """The slice or frame of that name or number that happens to be there is another one."""
    elsewhere = [Slice("another/1-14.dcm"), Frame("another.dcm", 3)]
    (one,) = requests(clean(), profile, [finding("DSO020", places=elsewhere)])
    assert (one.title, one.findings) == ("Largest cross-section of the liver", ())
