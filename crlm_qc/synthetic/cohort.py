"""A synthetic cohort: what each patient is to be, drawn so that the whole resembles the published figures.

A cohort is made in blocks of as many patients as were published (197). In a block every figure takes a fixed set of
values, the quantiles of a curve through the published minimum, median and maximum, dealt to the patients in an order
that depends on the seed. So a whole block has the published figures, and a smaller release is a sample of it that
never leaves the published ranges.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeVar

import numpy as np
import numpy.typing as npt

from crlm_qc.collection.profile import SEG, TUMOUR, Profile, Published, SegmentTerm, Span
from crlm_qc.collection.reading import load_profile

Floats = npt.NDArray[np.float64]
Position = Literal["HFS", "FFS", "HFP", "FFP"]
T = TypeVar("T")

PRONE_NUMBER = 1074
"""The published patient who was scanned on their stomach."""
OVERLAPPING_NUMBER = 1072
"""The published patient whose slices are thicker than they are apart."""
QUIRKS_FROM = 6
"""Releases of fewer patients have neither of the two."""
ARCHIVE_CREATOR = "CTP"
"""Private creator of the archive's own block: the clinical trial processor."""
MAX_TUMOURS = 5
TUMOURS_PER_PATIENT = 464 / 197
FIRST_STUDY_DATE = dt.date(1991, 6, 3)
LAST_STUDY_DATE = dt.date(1995, 5, 14)

BODY_X = 0.44
BODY_Y = 0.35
"""Semi-axes of the body as parts of the field of view."""
LIVER_RIGHT, LIVER_LEFT, LIVER_FRONT, LIVER_BACK = 0.48, 0.62, 0.57, 0.48
"""Longest semi-axes of the liver as parts of the body's."""
LIVER_UP, LIVER_DOWN = 0.92, 1.08
"""Its upper and lower semi-axes as parts of half its longest height."""
MAX_HALF_HEIGHT_MM = 88.0
SHAPE_FACTOR = 0.93
"""Part of the ellipsoid's volume that is left after the hilum's notch, rounded down."""

_SPACINGS_MM = (0.8, 1.25, 2.5, 5.0, 7.0, 7.5)
_ROOM_MM = 125.0
"""Height that a series has at least, where its slices may lie far enough apart."""
_OVERLAP = 1.25 / 0.8
"""Slice thickness by slice spacing in the series with overlapping slices."""
_MIN_TUMOUR_VOXELS = 12
"""A tumour of fewer than ten voxels would pass for a speck."""


@dataclass(frozen=True, slots=True)
class Scanner:
    """What a series' headers say of its scanner."""

    manufacturer: str
    model: str
    signed: bool
    """PixelRepresentation 1, and Pixel Padding outside the reconstruction circle."""

    @property
    def is_ge(self) -> bool:
        """Whether the private creator blocks of GE are left in the headers."""
        return self.manufacturer.startswith("GE")


_MODELS: Mapping[str, tuple[str, ...]] = {
    "GE MEDICAL SYSTEMS": (
        "LightSpeed16", "LightSpeed16", "LightSpeed16", "LightSpeed QX/i", "LightSpeed VCT", "LightSpeed Ultra",
    ),
    "Philips Medical Systems": ("Philips CT Secura",),
    "SIEMENS": ("Emotion Duo",),
}  # fmt: skip

_STUDY_DESCRIPTIONS = (
    "CT CH/ABD/PEL W/ CONTRAST",
    "CT CH/ABD/PEL W/ CONTRAST",
    "CT ANGIO ABD WITH CH AND PEL",
    "CT ANGIO LIVER WITH CH/PEL",
    "CT ANGIO ABDOMEN W & W/O CONT",
    "CT AB/PEL WITH LIVER TRIPHASIC",
    "CT ABDOMEN W/ CONTRAST",
)
_SERIES_DESCRIPTIONS = ("CT CH/AB/PEL", "CT CH/AB/PEL", "CT ABDOMEN/PELVIS", "POST CON", "Bind(4807/4/201..420)")
_WITHOUT_DESCRIPTION = 130 / 197
_SERIES_NUMBERS = (2, 2, 2, 3, 101, 101, 101, 101, 102)


@dataclass(frozen=True, slots=True)
class PatientPlan:
    """What one patient of the release is to be; it has no pixel yet."""

    seed: int
    index: int
    """Place in the release, from 0."""
    number: int
    """The number in the patient's ID."""
    patient: str
    collection: str
    uid_root: str
    vocabulary: tuple[SegmentTerm, ...]
    """Segments that the collection has."""
    sex: str
    age: int
    age_in_headers: bool
    study_date: dt.date
    segmentation_date: str
    """SeriesDate of the segmentation object, as YYYYMMDD."""
    private_block: bool
    """Whether the archive's private block, with the collection's name, is in the headers."""
    methods: tuple[str, ...]
    """Codes of how the headers were de-identified (PS3.16 CID 7050), as the profile orders them; empty for the usual ones."""
    study_seconds: int
    """Time of the study, seconds since midnight."""
    study_description: str
    series_description: str | None
    series_number: int
    scanner: Scanner
    matrix: int
    field_of_view_mm: float
    slices: int
    slice_spacing_mm: float
    slice_thickness_mm: float
    first_instance_number: int
    first_z_mm: float
    """Position of the first, which is the highest, slice."""
    offset_mm: tuple[float, float]
    """Where the centre of the field of view lies, x and y."""
    position: Position
    liver_ml: float
    tumours_ml: tuple[float, ...]
    liver_range_ml: tuple[float, float]
    tumour_range_ml: tuple[float, float]

    @property
    def prone(self) -> bool:
        """Whether the patient lies on their stomach."""
        return self.position.endswith("P")

    @property
    def pixel_spacing_mm(self) -> float:
        """PixelSpacing, as its DS of six decimals says."""
        return round(self.field_of_view_mm / self.matrix, 6)

    @property
    def voxel_ml(self) -> float:
        """Volume of a voxel."""
        return self.pixel_spacing_mm**2 * self.slice_spacing_mm / 1000

    def generator(self, *stream: int) -> np.random.Generator:
        """Random numbers of this patient; each stream is on its own."""
        return np.random.default_rng([self.seed, self.number, *stream])

    def uid(self, *what: str | int) -> str:
        """A UID under the profile's root, the same for the same seed, patient and `what`."""
        return uid_for(self.uid_root, self.seed, self.number, *what)


def uid_for(root: str, *what: str | int) -> str:
    """A UID under `root` whose last component follows from `what`: thirty digits, or as many as 64 characters leave."""
    digits = min(30, 63 - len(root))
    if digits < 10:
        raise ValueError(f"UID root {root} is too long")
    value = int.from_bytes(hashlib.sha256("/".join(map(str, what)).encode()).digest(), "big")
    # A component must not begin with a zero (PS3.5 section 9.1).
    return f"{root}.{10 ** (digits - 1) + value % (9 * 10 ** (digits - 1))}"


def patient_id(number: int, profile: Profile) -> str:
    """The ID of a patient: the form of the collection's IDs, such as CRLM-CT-nnnn, with the number in place of its n's."""
    return re.sub("n+$", lambda run: f"{number:0{len(run[0])}d}", profile.patient_id_form)


def patient_numbers(patients: int, profile: Profile) -> list[int]:
    """Numbers from 1001 on (from 101 where IDs have three digits), those that the published release lacks left out.

    Raises
    ------
    ValueError
        The form of the collection's IDs has no number at its end, or not so many patients.
    """
    run = re.search("n+$", profile.patient_id_form)
    if run is None:
        raise ValueError(f"patient IDs of the form {profile.patient_id_form} have no number at their end")
    missing = set(profile.published.missing_patients or ())
    top = 10 ** len(run[0])
    numbers = [n for n in range(top // 10 + 1, top) if patient_id(n, profile) not in missing][:patients]
    if len(numbers) < patients:
        raise ValueError(f"patient IDs of the form {profile.patient_id_form} are not enough for {patients} patients")
    return numbers


def with_figures(profile: Profile, matrix: int | None = None) -> Profile:
    """The profile with every published figure that a cohort is drawn after.

    Those that the collection did not publish are those of Colorectal-Liver-Metastases, since that is what the phantom
    is like. Figures that hang together are made to fit those that it did.

    Parameters
    ----------
    profile : Profile
        The collection.
    matrix : int, optional
        Rows and columns of the images, which a published spacing without a published size is for.
    """
    own, usual = profile.published, load_profile().published
    changes: dict[str, Any] = {
        name: getattr(usual, name)
        for name in ("spacing_slices_mm", "liver_volume_ml", "tumour_volume_ml")
        if getattr(own, name) is None
    }
    changes |= {name: getattr(usual, name) for name in ("sex", "manufacturers") if not any(getattr(own, name).values())}
    if own.slices_per_series is None:
        changes |= {name: getattr(usual, name) for name in ("patients", "ct_slices", "slices_per_series")}
    elif own.patients is None or own.ct_slices is None:
        span, patients = own.slices_per_series, own.patients or given(usual.patients)
        typical = (span.min + span.max) / 2 if span.median is None else span.median
        changes |= {"patients": patients, "ct_slices": round(patients * typical)}
    size, pixels = own.rows or own.columns, own.spacing_in_plane_mm
    if size is None:
        size = given(usual.rows) if pixels is None or matrix is None else matrix
    if pixels is None:
        scale = given(usual.rows) / size
        pixels = given(usual.spacing_in_plane_mm).scaled(scale)
    changes |= {"rows": size, "columns": size, "spacing_in_plane_mm": pixels}
    return replace(profile, published=replace(own, **changes))


def study_dates(profile: Profile) -> tuple[dt.date, dt.date]:
    """First and last study date: those of the profile, or a span as long as that of Colorectal-Liver-Metastases.

    Raises
    ------
    ValueError
        The first comes after the last.
    """
    known, span = profile.deidentification, LAST_STUDY_DATE - FIRST_STUDY_DATE
    first, last = (_day(text) for text in (known.first_date, known.last_date))
    if first is None:
        first = FIRST_STUDY_DATE if last is None else last - span
    if last is None:
        last = first + span
    if first > last:
        raise ValueError("first_date of [deidentification] comes after last_date")
    return first, last


def _day(text: str | None) -> dt.date | None:
    """A DA, or None if it is none."""
    try:
        return dt.datetime.strptime(text or "", "%Y%m%d").replace(tzinfo=dt.UTC).date()
    except ValueError:
        return None


def given(figure: T | None) -> T:
    """A published figure that must be there (`with_figures`)."""
    if figure is None:
        raise ValueError("the profile lacks a published figure that a cohort is drawn after")
    return figure


def slice_counts(published: Published) -> list[int]:
    """Slice counts of a whole block, ascending: published minimum, median, maximum and sum.

    Below the median the counts crowd towards it, above they spread; the exponent follows from the published sum.
    """
    n, span, total = given(published.patients), given(published.slices_per_series), given(published.ct_slices)
    low, high = round(span.min), round(span.max)
    middle = round(span.median) if span.median is not None else (low + high) // 2
    lower, upper = _halves(n)
    first = low + (middle - low) * lower**0.6
    wanted = total - float(first.sum())
    mean = (wanted / max(len(upper), 1) - middle) / max(high - middle, 1)
    second = middle + (high - middle) * upper ** (1 / min(max(mean, 0.05), 0.95) - 1)
    counts = [*np.rint(first).astype(int).tolist(), *np.rint(second).astype(int).tolist()]
    # Rounding and the curve's discrete sum leave a few slices over: spread them where no published figure stands.
    fixed = {0, (n - 1) // 2, n // 2, n - 1}
    free = [i for i in range(n) if i not in fixed]
    rest, step = total - sum(counts), 0
    while rest and free and step < n * high:
        i = free[-1 - step % len(free)]
        change = 1 if rest > 0 else -1
        bottom, top = (low, middle) if i < n // 2 else (middle, high)
        if bottom <= counts[i] + change <= top:
            counts[i] += change
            rest -= change
        step += 1
    return sorted(counts)


def draw(
    patients: int, seed: int, profile: Profile, *, matrix: int, max_slices: int | None = None
) -> list[PatientPlan]:
    """Draw a cohort.

    Parameters
    ----------
    patients : int
        How many patients.
    seed : int
        The same seed gives the same patients; a smaller cohort is the beginning of a larger one, but for the prone
        patient and the one with overlapping slices.
    profile : Profile
        Its published figures must be meant for `matrix`, and none that a cohort is drawn after may be missing
        (`with_figures`).
    matrix : int
        Rows and columns of an image.
    max_slices : int, optional
        No series has more slices; where the liver would not fit, they lie farther apart.

    Returns
    -------
    list of PatientPlan
        In the order of their numbers.
    """
    numbers = patient_numbers(patients, profile)
    size = given(profile.published.patients)
    plans: list[PatientPlan] = []
    for block, start in enumerate(range(0, patients, size)):
        plans += _block(block, numbers[start : start + size], seed, profile, matrix, max_slices)
    return _with_prone(plans)


def _block(
    block: int, numbers: Sequence[int], seed: int, profile: Profile, matrix: int, max_slices: int | None
) -> list[PatientPlan]:
    """Plans of one block; `numbers` may be fewer than a whole block has."""
    published = profile.published
    size = given(published.patients)
    livers_ml, tumours_ml = given(published.liver_volume_ml), given(published.tumour_volume_ml)
    rng = np.random.default_rng([seed, block])
    thin = _overlapping(numbers) if block == 0 else None

    counts = rng.permutation(np.array(slice_counts(published)))
    if thin is not None:
        # The series with overlapping slices is the one with most slices, as published.
        most = int(counts.argmax())
        counts[[thin, most]] = counts[[most, thin]]
    spacings = np.array([_slice_spacing(int(n), published, max_slices) for n in counts])
    slices = counts if max_slices is None else np.minimum(counts, max_slices)
    fields = rng.permutation(_fields_of_view(given(published.spacing_in_plane_mm), matrix, size))
    livers = _deal_livers(livers_ml, fields, slices, spacings, rng)
    # Where one label is all that tumours have, more than one could not be told apart.
    several = any(term.numbered for term in profile.segments if term.role == TUMOUR) or not profile.has_role(TUMOUR)
    tumours = _deal_tumours(tumours_ml, livers, rng, several=several)
    sexes = rng.permutation(_expand(published.sex, size))
    scanners = _deal_scanners(published, size, rng)
    first_day, last_day = study_dates(profile)
    known = profile.deidentification
    # The days of their making, which were not shifted with the studies, if the profile knows of any.
    made = [text for text in known.series_dates.get(SEG, ()) if _day(text)]

    plans = []
    for i, number in enumerate(numbers):
        own = np.random.default_rng([seed, number, 0])
        spacing = float(spacings[i])
        voxel = round(fields[i] / matrix, 6) ** 2 * spacing / 1000
        days = (last_day - first_day).days
        scanner = scanners[i]
        described = own.random() >= _WITHOUT_DESCRIPTION
        age = int(own.triangular(30, 63, 89))
        day = first_day + dt.timedelta(days=int(own.integers(0, days + 1)))
        plans.append(
            PatientPlan(
                seed=seed,
                index=block * size + i,
                number=number,
                patient=patient_id(number, profile),
                collection=profile.name,
                uid_root=profile.uid_root,
                vocabulary=profile.segments,
                sex=str(sexes[i]),
                age=age,
                age_in_headers=scanner.signed,
                study_date=day,
                segmentation_date=made[(block * size + i) % len(made)] if made else f"{day:%Y%m%d}",
                private_block=ARCHIVE_CREATOR in known.private_creators,
                methods=tuple(sorted(known.codes)),
                study_seconds=int(own.integers(8 * 3600, 17 * 3600)),
                study_description=(
                    str(own.choice(_STUDY_DESCRIPTIONS)) if scanner.signed else "FORFILE CT ABD AND/OR PEL - CD"
                ),
                series_description=str(own.choice(_SERIES_DESCRIPTIONS)) if described else None,
                series_number=int(own.choice(_SERIES_NUMBERS)),
                scanner=scanner,
                matrix=matrix,
                field_of_view_mm=float(fields[i]),
                slices=int(slices[i]),
                slice_spacing_mm=spacing,
                slice_thickness_mm=round(spacing * (_OVERLAP if i == thin else 1.0), 6),
                first_instance_number=1 if own.random() < 0.4 else int(own.integers(2, 120)),
                first_z_mm=round(-float(own.integers(-80, 1200)) * 0.25, 2),
                offset_mm=(float(own.integers(-25, 26)) * 0.2, float(own.integers(-60, 61)) * 0.2),
                position="FFS" if own.random() < 0.6 else "HFS",
                liver_ml=float(livers[i]),
                tumours_ml=tuple(max(volume, _MIN_TUMOUR_VOXELS * voxel) for volume in tumours[i]),
                liver_range_ml=(livers_ml.min, livers_ml.max),
                tumour_range_ml=(tumours_ml.min, tumours_ml.max),
            )
        )
    return plans


def _overlapping(numbers: Sequence[int]) -> int | None:
    """Index of the patient whose slices overlap: the published one, else the last but one of a release that is not tiny."""
    if OVERLAPPING_NUMBER in numbers:
        return numbers.index(OVERLAPPING_NUMBER)
    return len(numbers) - 2 if len(numbers) >= QUIRKS_FROM else None


def _with_prone(plans: list[PatientPlan]) -> list[PatientPlan]:
    """The plans, one of them prone: the published one, else the last of a release that is not tiny."""
    chosen = next((i for i, plan in enumerate(plans) if plan.number == PRONE_NUMBER), None)
    if chosen is None:
        if len(plans) < QUIRKS_FROM:
            return plans
        chosen = len(plans) - 1
    plan = plans[chosen]
    plans[chosen] = replace(plan, position="FFP" if plan.position == "FFS" else "HFP")
    return plans


def _halves(n: int) -> tuple[Floats, Floats]:
    """Places of `n` sorted values below and above their median, each from 0 to 1; the median itself is the first's end."""
    middle = (n + 1) // 2
    lower = np.linspace(0.0, 1.0, middle) if middle > 1 else np.ones(1)
    return lower, np.arange(1, n - middle + 1) / max(n - middle, 1)


def _quantiles(span: Span, n: int, tail: float) -> Floats:
    """`n` values through a span's minimum, median and maximum, evenly on a logarithmic scale but for a longer tail."""
    median = span.median if span.median is not None else math.sqrt(span.min * span.max)
    lower, upper = _halves(n)
    low, middle, high = math.log(span.min), math.log(median), math.log(span.max)
    values = np.exp(np.concatenate([low + (middle - low) * lower**0.7, middle + (high - middle) * upper**tail]))
    return np.asarray(np.clip(values, span.min, span.max))


def _fields_of_view(span: Span, matrix: int, n: int) -> Floats:
    """Diameters of the field of view in whole mm, as scanners offer them, within the span of the pixel spacing."""
    low, high = math.ceil(span.min * matrix), math.floor(span.max * matrix)
    middle = round((span.median if span.median is not None else (span.min + span.max) / 2) * matrix)
    lower, upper = _halves(n)
    whole = np.rint(np.concatenate([low + (middle - low) * lower**0.5, middle + (high - middle) * upper**1.6]))
    return np.asarray(whole)


def _slice_spacing(count: int, published: Published, max_slices: int | None) -> float:
    """Slice spacing of a series that has `count` slices before the cap: the fewer slices, the farther apart."""
    span, counts = given(published.spacing_slices_mm), given(published.slices_per_series)
    offered = [value for value in _SPACINGS_MM if span.holds(value)] or [span.min]
    if count >= counts.max:
        chosen = offered[0]
    elif count <= counts.min + 3:
        chosen = offered[-1]
    elif counts.median is not None and span.median is not None and count <= counts.median:
        chosen = span.median
    else:
        chosen = next((value for value in offered[1:] if count * value >= _ROOM_MM), offered[-1])
    if count * chosen < _ROOM_MM:
        chosen = next((value for value in offered if count * value >= _ROOM_MM), offered[-1])
    if max_slices is not None and count > max_slices:
        chosen = next((value for value in offered if max_slices * value >= 160.0), offered[-1])
    return chosen


def half_height(slices: int, spacing: float) -> float:
    """Half of the longest height, in mm, that a liver may have in a series, lung above and some room below it."""
    above, below = lung_above(spacing), max(8.0, spacing)
    return min(((slices - 1) * spacing - above - below) / 2, MAX_HALF_HEIGHT_MM)


def lung_above(spacing: float) -> float:
    """Height, in mm, that the slices above the liver take: two slices at least."""
    return max(12.0, 2 * spacing)


def capacity(field_of_view: float, slices: int, spacing: float) -> float:
    """Volume, in mL, of the largest liver that a series can hold."""
    half = half_height(slices, spacing)
    if half <= 0:
        return 0.0
    body_x, body_y = BODY_X * field_of_view, BODY_Y * field_of_view
    x, y, z = (LIVER_RIGHT + LIVER_LEFT) / 2, (LIVER_FRONT + LIVER_BACK) / 2, (LIVER_UP + LIVER_DOWN) / 2
    return SHAPE_FACTOR * 4 / 3 * math.pi * (x * body_x) * (y * body_y) * (z * half) / 1000


def _deal_livers(
    span: Span, fields: Floats, slices: npt.NDArray[np.int64], spacings: Floats, rng: np.random.Generator
) -> Floats:
    """Liver volumes, each to a series that can hold it, the largest first."""
    n = len(fields)
    room = np.array([capacity(float(fields[i]), int(slices[i]), float(spacings[i])) for i in range(n)])
    dealt = np.zeros(n)
    free = rng.permutation(n).tolist()
    for volume in _quantiles(span, n, 1.3)[::-1]:
        chosen = next((i for i in free if room[i] >= volume), None)
        if chosen is None:
            chosen = max(free, key=lambda i: room[i])
        free.remove(chosen)
        dealt[chosen] = min(volume, room[chosen])
    return dealt


def _deal_tumours(
    span: Span, livers: Floats, rng: np.random.Generator, *, several: bool = True
) -> list[tuple[float, ...]]:
    """Volumes of each patient's tumours, the largest first; all of them together take a third of the liver at most."""
    n = len(livers)
    totals = np.zeros(n)
    free = rng.permutation(n).tolist()
    for volume in _quantiles(span, n, 1.25)[::-1]:
        chosen = next((i for i in free if livers[i] >= 2.9 * volume), None)
        if chosen is None:
            chosen = max(free, key=lambda i: livers[i])
        free.remove(chosen)
        totals[chosen] = min(volume, livers[chosen] / 2.9)
    numbers = np.ones(n, dtype=int)
    left = round(TUMOURS_PER_PATIENT * n) - n if several else 0
    while left > 0:
        # Neither a tumour of few voxels, nor a liver with no room between its tumours.
        open_ = [
            i
            for i in range(n)
            if numbers[i] < (MAX_TUMOURS if totals[i] < 0.15 * livers[i] else 2) and totals[i] >= 0.4 * (numbers[i] + 1)
        ]
        if not open_:
            break
        for i in rng.permutation(open_)[:left]:
            # Most patients have few tumours, some have many.
            if rng.random() < 0.35:
                numbers[i] += 1
                left -= 1
    dealt = []
    for i in range(n):
        parts = rng.dirichlet(np.full(int(numbers[i]), 1.5)) * 0.8 + 0.2 / numbers[i]
        dealt.append(tuple(float(part) for part in np.sort(parts * totals[i])[::-1]))
    return dealt


def _expand(counts: Mapping[str, int], n: int) -> list[str]:
    """A list in which each key stands as often as published, scaled to `n`."""
    listed = [key for key, count in counts.items() for _ in range(count)]
    return [listed[i * len(listed) // n] for i in range(n)]


def _deal_scanners(published: Published, n: int, rng: np.random.Generator) -> list[Scanner]:
    """Scanners as often as published; images of the rare ones are unsigned."""
    common = max(published.manufacturers, key=lambda name: published.manufacturers[name])
    makers = rng.permutation(_expand(published.manufacturers, n))
    return [
        Scanner(str(maker), str(rng.choice(_MODELS.get(str(maker), ("CT",)))), signed=str(maker) == common)
        for maker in makers
    ]
