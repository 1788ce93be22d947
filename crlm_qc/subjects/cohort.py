"""Workbook and images of the same patients side by side, and whether the one belongs to the other.

Sex and age are known of both. Where the rows of the workbook belong to the images, nearly all patients agree; where they
are another's rows, as many agree as chance gives. What chance gives is exact: every assignment of rows to images is as
likely as any other, so that agreement of sex follows the hypergeometric distribution, and the distance of age is
compared with that of random assignments.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from crlm_qc.collection.forms import age_in_years
from crlm_qc.collection.profile import digest_of_row
from crlm_qc.model.words import agree, plural
from crlm_qc.rulebook.context import Context, once
from crlm_qc.rulebook.rule import Skip
from crlm_qc.subjects.words import most_common
from crlm_qc.subjects.workbook import Clinical, clinical

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pandas as pd

    Indices = npt.NDArray[np.intp]

MIN_PATIENTS: Final = 20
"""Patients that a comparison of sex and age needs."""
MIN_PATIENTS_SEX: Final = 50
"""Patients that it needs where sex alone can be compared: chance alone agrees in half of them."""
ALPHA: Final = 0.01
"""Agreement with a larger p-value is no better than chance. The rows of a workbook that fits, with one in seven wrong,
give below 0.001 from 20 patients on."""
MAX_CHANCE: Final = 0.75
"""Where chance alone makes this part agree, the patients are too alike to tell."""
FITS: Final = 0.5
"""Part of the patients that must agree before another order of the rows counts as an explanation."""
KNOWN: Final = 0.9
"""Part of a workbook's rows that must be those of an edition to be known as it: people mend a few cells."""
PERMUTATIONS: Final = 9999
AT_ONCE: Final = 100
"""Permutations that are held at once."""
SEED: Final = 20221001

_SEX: Final = {"M": 1.0, "F": 2.0}


@dataclass(frozen=True)
class Test:
    """One measure of agreement against what chance gives."""

    n: int
    """Patients compared."""
    agree: int
    expected: float
    """Patients that agree by chance, on average over all assignments of rows to images."""
    p: float
    """How often chance agrees at least as well."""


@dataclass(frozen=True)
class Cohort:
    """Patients that both the workbook (one row) and the images know."""

    table: pd.DataFrame
    """A row a patient (the index, sorted): `age` and `sex` of the workbook, `dicom_age` in years and `dicom_sex` (1 male,
    2 female) of the images, `row` of the sheet; NaN where unknown."""
    sex: Test | None
    """None if too few patients can be compared."""
    age: Test | None
    age_distance: tuple[float, float]
    """Median of |age - PatientAge| in years, as found and by chance."""
    belongs: bool | None
    """Whether the rows belong to the images; None if that can't be told."""
    reason: str
    """Why it can't be told."""
    known: str | None = None
    """The edition of the workbook that is known not to belong, where too few patients are there to tell by themselves."""

    @property
    def detached(self) -> bool:
        """Whether the rows are known not to belong to the images."""
        return self.belongs is False


@once
def cohort(context: Context) -> Cohort:
    """The cohort of this audit, compared.

    Raises
    ------
    Skip
        There is no workbook, or no image.
    """
    table = clinical(context)
    if context["slices"].empty and context["dsos"].empty:
        raise Skip("no images to compare the workbook with")
    return _compare(context, table)


def _image_facts(context: Context) -> pd.DataFrame:
    """Age and sex in the images' headers by patient: of the CT, or else of the segmentation object.

    A series whose files disagree gives what most of them say.
    """
    import pandas as pd

    facts: dict[str, dict[str, Any]] = {}
    for name in ("dsos", "slices"):
        table = context[name]
        patients = table["patient"].tolist()
        for column, made in (("patient_sex", "dicom_sex"), ("patient_age", "dicom_age")):
            held: dict[str, list[str]] = {}
            for patient, value in zip(patients, table[column].tolist(), strict=True):
                if isinstance(patient, str) and isinstance(value, str):
                    held.setdefault(patient, []).append(value)
            for patient in sorted(held):
                facts.setdefault(patient, {})[made] = most_common(held[patient])
    rows = pd.DataFrame.from_dict(facts, orient="index", columns=["dicom_sex", "dicom_age"], dtype="object")
    return pd.DataFrame(
        {
            "dicom_sex": rows["dicom_sex"].map(lambda value: _SEX.get(str(value).strip(), math.nan)).astype("float64"),
            "dicom_age": rows["dicom_age"].map(age_in_years).astype("float64"),
        },
        index=rows.index,
    )


def _compare(context: Context, table: Clinical) -> Cohort:
    import numpy as np

    own = table.single().reindex(columns=["age", "sex"])
    # Codes that the workbook's own dictionary gives another meaning can't be compared with PatientSex.
    own["sex"] = own["sex"].where(own["sex"].isin(list(_SEX.values())))
    rows = table.patients[table.patients.notna()]
    both = own.join(_image_facts(context), how="inner").sort_index()
    both["row"] = both.index.map({patient: row for row, patient in rows.items()}).astype("float64")
    tolerance = context.tolerances.age_years
    by_sex = both[both["sex"].notna() & both["dicom_sex"].notna()]
    by_age = both[both["age"].notna() & both["dicom_age"].notna()]
    sex = _sex_test(by_sex["sex"].to_numpy(), by_sex["dicom_sex"].to_numpy()) if len(by_sex) >= MIN_PATIENTS else None
    age, distance = None, (math.nan, math.nan)
    if len(by_age) >= MIN_PATIENTS:
        own_age, image_age = by_age["age"].to_numpy(), by_age["dicom_age"].to_numpy()
        age = _age_test(own_age, image_age, tolerance)
        distance = (float(np.median(np.abs(own_age - image_age))), _median(*_distances(own_age, image_age)))
    belongs, reason = _decide(sex, age, len(both))
    if belongs is None and (edition := _known_to_be_detached(context, own, both)):
        return Cohort(both, sex, age, distance, False, "", edition)
    return Cohort(both, sex, age, distance, belongs, reason)


def _known_to_be_detached(context: Context, own: pd.DataFrame, both: pd.DataFrame) -> str | None:
    """The edition whose rows these are, if it is known not to follow the images, and does not follow those at hand.

    Age and sex of nearly all rows must be the edition's: in one that was joined again most are others.
    """
    rows = own.dropna()
    if rows.empty or not disagreeing(both, context.tolerances.age_years).any():
        return None
    digests = [
        digest_of_row(patient, age, sex) for patient, age, sex in zip(rows.index, rows["age"], rows["sex"], strict=True)
    ]
    for edition in context.profile.editions:
        if sum(one in edition.detached_rows for one in digests) >= KNOWN * len(digests):
            return edition.name
    return None


def disagreeing(both: pd.DataFrame, tolerance: float) -> pd.Series[bool]:
    """Patients whose sex or age is known of workbook and images, and differs."""
    sex = both["sex"].notna() & both["dicom_sex"].notna() & (both["sex"] != both["dicom_sex"])
    return sex | ((both["age"] - both["dicom_age"]).abs() > tolerance)


def _decide(sex: Test | None, age: Test | None, n: int) -> tuple[bool | None, str]:
    """The rows do not belong if no measure agrees better than chance; one that does shows that they belong."""
    tests = [test for test in (sex, age) if test is not None and test.expected < MAX_CHANCE * test.n]
    if not (sex or age):
        return (
            None,
            f"only {plural(n, 'patient')} can be compared; {MIN_PATIENTS} are needed to tell chance from agreement",
        )
    if not tests:
        return None, "the patients are too alike in age and sex to tell chance from agreement"
    if any(test.p <= ALPHA for test in tests):
        return True, ""
    # Age tells more than sex, in which chance alone agrees in half of the patients.
    best = age if age in tests and age is not None else tests[0]
    if best.agree - best.expected > (best.n - best.expected) / 2:
        return None, "age and sex agree in more patients than not, yet chance can't be ruled out"
    if best is not age and best.n < MIN_PATIENTS_SEX:
        return None, f"ages can't be compared, and sex alone needs {MIN_PATIENTS_SEX} patients to tell"
    return False, ""


def _sex_test(own: npt.NDArray[np.float64], images: npt.NDArray[np.float64]) -> Test:
    """Agreement of sex against all assignments of rows to images (one-sided exact test, hypergeometric)."""
    n = len(own)
    men, image_men = int((own == 1).sum()), int((images == 1).sum())
    agree = int((own == images).sum())
    low, high = max(0, men + image_men - n), min(men, image_men)
    # With k men in both, n - men - image_men + 2k patients agree.
    weights = {low: math.comb(image_men, low) * math.comb(n - image_men, men - low)}
    for k in range(low, high):
        # Each from the one before: of thousands of patients these are numbers of thousands of digits.
        weights[k + 1] = weights[k] * (image_men - k) * (men - k) // ((k + 1) * (n - image_men - men + k + 1))
    total = sum(weights.values())
    p = sum(weight for k, weight in weights.items() if n - men - image_men + 2 * k >= agree) / total
    expected = (men * image_men + (n - men) * (n - image_men)) / n
    return Test(n, agree, expected, p)


def _age_test(own: npt.NDArray[np.float64], images: npt.NDArray[np.float64], tolerance: float) -> Test:
    """Mean distance of age against random assignments of rows to images (one-sided permutation test)."""
    import numpy as np

    n = len(own)
    apart = np.abs(own - images)
    observed = float(apart.mean())
    random, rows = np.random.default_rng(SEED), np.arange(n)
    # All at once they would take most of the memory of a large release.
    orders = (
        random.permuted(np.tile(rows, (min(AT_ONCE, PERMUTATIONS - done), 1)), axis=1)
        for done in range(0, PERMUTATIONS, AT_ONCE)
    )
    by_chance = np.concatenate([np.abs(own - images[order]).mean(axis=1) for order in orders])
    p = (1 + int((by_chance <= observed + 1e-9).sum())) / (1 + PERMUTATIONS)
    agree = int((apart <= tolerance).sum())
    distances, counts = _distances(own, images)
    return Test(n, agree, float(counts[distances <= tolerance].sum() / n), p)


def _distances(own: npt.NDArray[np.float64], images: npt.NDArray[np.float64]) -> tuple[Any, Any]:
    """How far apart each of the one is from each of the other: the distances in order, and how many pairs are so far apart.

    Ages are few, and pairs of patients as many as their number squared.
    """
    import numpy as np

    (ages, n), (others, m) = (np.unique(one, return_counts=True) for one in (own, images))
    apart, counts = np.abs(ages[:, None] - others[None, :]).ravel(), np.outer(n, m).ravel()
    order = np.argsort(apart, kind="stable")
    return apart[order], counts[order]


def _median(values: Any, counts: Any) -> float:
    """The median of ordered values, each there so many times."""
    import numpy as np

    ends = np.cumsum(counts)
    middle = np.searchsorted(ends, [(ends[-1] - 1) // 2, ends[-1] // 2], side="right")
    return float(values[middle].mean())


def explanation(context: Context, found: Cohort) -> str:
    """The likeliest order that the rows were put into, or that none of those tried fits, in one sentence."""
    table = found.table
    known = table[table[["age", "sex", "dicom_age", "dicom_sex"]].notna().all(axis=1)].sort_values("row")
    if len(known) < MIN_PATIENTS:
        return "Too few patients have both age and sex to look for the order that the rows stand in."
    tolerance = context.tolerances.age_years
    best_agree, best_n, best_words = 0, len(known), ""
    for words, rows, images in _orders(context, known):
        agree = _agreeing(known, rows, images, tolerance)
        if agree / len(rows) > best_agree / best_n:
            best_agree, best_n, best_words = agree, len(rows), words
    if best_agree >= FITS * best_n:
        return f"{best_words}, age and sex would agree in {best_agree} of {best_n} patients."
    if _same_people(known):
        return "No shift, reversal or sort order that was tried explains it; as a whole, ages and sexes are the same, so it looks like the same cohort in another order."
    return "No shift, reversal or sort order that was tried explains it."


def _agreeing(known: pd.DataFrame, rows: Indices, images: Indices, tolerance: float) -> int:
    age, sex = known["age"].to_numpy()[rows], known["sex"].to_numpy()[rows]
    image_age, image_sex = known["dicom_age"].to_numpy()[images], known["dicom_sex"].to_numpy()[images]
    return int(((abs(age - image_age) <= tolerance) & (sex == image_sex)).sum())


def _orders(context: Context, known: pd.DataFrame) -> Iterator[tuple[str, Indices, Indices]]:
    """Orders to try: in words, which rows, and which images they would belong to."""
    import numpy as np

    n = len(known)
    here = np.arange(n)
    for shift in range(1, n - max(MIN_PATIENTS, n // 2) + 1):
        rows_word = agree(shift, "row", "rows")
        yield f"If the values were moved up by {shift} {rows_word}", here[shift:], here[:-shift]
        yield f"If the values were moved down by {shift} {rows_word}", here[:-shift], here[shift:]
    yield "If the rows were put in reverse order", here[::-1], here
    wide = clinical(context).single().loc[known.index]
    sheet_orders = {
        f"sorted by {name}": np.argsort(wide[name].to_numpy(), kind="stable")
        for name in wide.columns
        if wide[name].notna().all() and wide[name].nunique() > n // 2
    }
    image_orders = {"in the order of patient numbers": here}
    for column, words in (
        ("study_date", "study date"),
        ("study_uid", "Study Instance UID"),
        ("series_uid", "Series Instance UID"),
    ):
        first = context["slices"].dropna(subset=["patient", column]).groupby("patient")[column].min()
        keys = first.reindex(known.index)
        if keys.notna().all():
            image_orders[f"sorted by {words}"] = np.argsort(keys.to_numpy().astype(str), kind="stable")
    for image_words, images in image_orders.items():
        if image_words != "in the order of patient numbers":
            yield f"If the rows as they stand were given to the images {image_words}", here, images
        for words, rows in sheet_orders.items():
            yield f"If the rows {words} were given to the images {image_words}", rows, images
            yield f"If the rows {words} from the largest were given to the images {image_words}", rows[::-1], images


def _same_people(known: pd.DataFrame) -> bool:
    """Whether workbook and images list as many men, and ages that are a year apart at most when each list is sorted."""
    import numpy as np

    men = abs(int((known["sex"] == 1).sum()) - int((known["dicom_sex"] == 1).sum()))
    apart = np.abs(np.sort(known["age"].to_numpy()) - np.sort(known["dicom_age"].to_numpy())).mean()
    return men <= 0.05 * len(known) and bool(apart <= 1.0)


def partner(found: Cohort, patient: str) -> str | None:
    """The one patient whose row, swapped with this one's, would make age and sex of both agree; None if not just one.

    Ages must agree within a year, so that few pairs fit by chance.
    """
    tolerance = 1.0
    table = found.table
    me = table.loc[patient]
    if table.loc[patient, ["age", "sex", "dicom_age", "dicom_sex"]].isna().any():
        return None
    wrong = (table["sex"] != table["dicom_sex"]) | ((table["age"] - table["dicom_age"]).abs() > tolerance)
    fits = (
        wrong
        & (table["sex"] == me["dicom_sex"])
        & (table["dicom_sex"] == me["sex"])
        & ((table["age"] - me["dicom_age"]).abs() <= tolerance)
        & ((table["dicom_age"] - me["age"]).abs() <= tolerance)
        & (table.index != patient)
    )
    others = list(table.index[fits])
    return others[0] if len(others) == 1 else None
