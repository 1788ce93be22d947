"""Text that identifies a person: in headers, tables, names of files, the workbook."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from crlm_qc.model.finding import Found, Kind, Subject
from crlm_qc.model.fitness import Spoils
from crlm_qc.model.severity import INFO, WARNING
from crlm_qc.model.words import agree, listed, plural
from crlm_qc.rulebook.context import Context
from crlm_qc.rulebook.rule import Checked, Scope, Skip, rule
from crlm_qc.rules.did._shared import each_series, is_within
from crlm_qc.subjects.identifiers import Series, by_attribute
from crlm_qc.subjects.words import file_names, file_subject, folder_of, folder_subject, text


@rule(
    "DID009",
    "text-identifies",
    WARNING,
    title="Free text that looks as if it identified somebody",
    why="Names, telephone numbers, record numbers and real dates hide in comments and descriptions, which options allow to stay once cleaned.",
    fix="Read the attribute in the file, or the cell or name that the finding tells, and clean it wherever it stands.",
    source="DICOM PS3.15 2024b E.3.5 Clean Descriptors Option",
    tables=("files", "identifiers", "texts"),
    scope=Scope.PATIENT,
    spoils=Spoils(out=("sharing",)),
)
def text_identifies(context: Context) -> Checked:
    """Every text of every header, nested and private too, and every text of tables and names of files; the collection's own words and shifted dates are left out."""

    def judge(one: Series) -> Iterator[Found]:
        told = {attribute for attribute, _, _ in one.retained_against}
        private = {row.attribute for row in one.strange_private}
        for name, rows in by_attribute([row for row in one.rows if row.pattern]):
            if name in private or is_within(name, told):
                continue
            looks = sorted({row.pattern for row in rows if row.pattern})
            count = one.files(rows)
            message = f"{name} holds what looks like {_a(looks)} in {count:,} of {one.counted}."
            yield Found(one.subject(name), message, "text that identifies nobody", ", ".join(looks), one.patient, count)

    elsewhere = [*_cells_that_identify(context), *_names_that_identify(context)]
    try:
        checked = each_series(context, judge)
    except Skip:
        if not elsewhere:
            raise
        checked = Checked(0)
    return Checked(checked.examined + len(elsewhere), [*checked.findings, *elsewhere])


def _a(kinds: Sequence[str]) -> str:
    return " and ".join(f"an {kind}" if kind[0] == "e" else f"a {kind}" for kind in kinds)


_TABLES = {
    "clinical": "the workbook",
    "dictionary": "the Data Dictionary",
    "metadata": "metadata.csv",
    "manifest": "the manifest",
}


def _cells_that_identify(context: Context) -> Iterator[Found]:
    """A finding a column of a table."""
    texts = context["texts"]
    cells = texts[texts["source"].isin(list(_TABLES))]
    known = {
        *context.profile.variables,
        *context.profile.metadata_columns,
        "variable",
        "description",
        "values",
        "entry",
    }
    for (source, path, column), rows in cells.groupby(["source", "path", "column"], sort=True):
        looks = sorted(set(rows["pattern"]))
        shown = context.show.text(str(column), known=known)
        patients = sorted(set(rows["patient"].dropna()))
        places = tuple(f"row {row}" for row in sorted(set(rows["row"].dropna())))
        one = len(rows) == 1
        yield Found(
            Subject(
                Kind.ROW if one else Kind.COLUMN,
                context.show.path(str(path)),
                row=int(rows["row"].iloc[0]) if one else None,
                column=shown,
            ),
            f"{plural(len(rows), 'cell')} of {shown} in {_TABLES[str(source)]} "
            f"{agree(len(rows), 'holds', 'hold')} what looks like {_a(looks)}: {listed(places)}.",
            "text that identifies nobody",
            ", ".join(looks),
            patients[0] if len(patients) == 1 and one else None,
            len(rows),
            places,
        )


def _names_that_identify(context: Context) -> Iterator[Found]:
    """A finding a folder in which files or folders have such names."""
    texts = context["texts"]
    named = texts[texts["source"].isin(["file", "folder"])]
    for (source, above), rows in named.groupby(["source", named["path"].map(folder_of)], sort=True):
        looks = sorted(set(rows["pattern"]))
        paths = list(rows["path"])
        names = file_names(context, paths) if source == "file" else ()
        if len(rows) == 1:
            kind = Kind.FILE if source == "file" else Kind.FOLDER
            subject = Subject(kind, context.show.path(paths[0]))
            whose = f"The name of {names[0]}" if names else "The name of the folder"
            message = f"{whose} looks like {_a(looks)}."
        else:
            subject = folder_subject(context, str(above))
            what = f"The names of {len(rows)} {source}s"
            message = f"{what} look like {_a(looks)}{': ' if names else ''}{listed(names)}."
        patient = text(rows["patient"].iloc[0])
        yield Found(subject, message, "a name that names nobody", ", ".join(looks), patient, len(rows), tuple(names))


@rule(
    "DID012",
    "workbook-names-a-person",
    INFO,
    title="The workbook's properties name a person",
    why="Spreadsheets keep who made and last saved them, and where; it is seldom meant to be published.",
    fix="Remove the properties: in Excel, File > Info > Inspect Document.",
    source="ECMA-376 Part 2, 11 Core Properties (docProps/core.xml)",
    tables=("workbook", "sources"),
    spoils=Spoils(care=("sharing",)),
)
def workbook_names_a_person(context: Context) -> Checked:
    """creator, lastModifiedBy, Manager and the folder last saved in; names of programs are left out."""
    sources = context["sources"]
    used = sources[(sources["source"] == "clinical") & sources["used"].fillna(False).astype(bool)]
    if used.empty:
        raise Skip("no workbook was found")
    facts = context["workbook"]
    names = sorted(set(facts.loc[(facts["fact"] == "property") & facts["has_value"], "name"].dropna()))
    if not names:
        return Checked(1)
    message = f"The workbook's properties {listed(names)} hold what may name a person."
    subject = replace(file_subject(context, str(used["path"].iloc[0])), column="properties")
    return Checked(1, [Found(subject, message, "empty", ", ".join(names), None, len(names), tuple(names))])
