"""What a report says of the release as a whole."""

from __future__ import annotations

from crlm_qc.collection.profile import Profile
from crlm_qc.model.report import ReleaseFacts
from crlm_qc.rulebook.context import Context


def release_facts(context: Context) -> ReleaseFacts:
    """What is known of the audited release, from its evidence."""
    evidence, profile = context.evidence, context.profile
    files, sources = evidence["files"], evidence["sources"]
    used = sources[sources["used"]]
    editions = used.loc[used["source"] == "clinical", "edition"].dropna()
    edition = None if editions.empty else str(editions.iloc[0])
    return ReleaseFacts(
        # Who audits named this folder, not who made the files, so its name is shown.
        root="".join(letter for letter in evidence.facts.root if letter.isprintable()),
        layout=evidence.facts.layout,
        patients=int(evidence["patients"]["patient"].nunique()),
        series=len(evidence["series"]),
        files=len(files),
        bytes=int(files["size"].sum()),
        ct_slices=int(((files["kind"] == "ct") & files["copy_of"].isna()).sum()),
        tables=tuple(str(context.show.path(path)) for path in used["path"]),
        workbook_edition=edition,
        workbook_lacks=_lacks(edition, profile),
        collection=profile.name,
        doi=profile.doi,
        licence=profile.licence,
    )


def _lacks(edition: str | None, profile: Profile) -> tuple[str, ...]:
    """Columns that other editions of the workbook have and this one has not."""
    if edition is None:
        return ()
    own = next((item.columns for item in profile.editions if item.name == edition), ())
    others = dict.fromkeys(column for item in profile.editions for column in item.columns)
    return tuple(column for column in others if column not in own)
