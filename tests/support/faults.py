"""Clean releases that every fault finds room in."""

from collections.abc import Callable

import pytest
from support.releases import small_release

from crlm_qc.synthetic.faults import Fault
from crlm_qc.synthetic.release import EditionName, SyntheticRelease

ReleaseFor = Callable[[Fault], SyntheticRelease]


@pytest.fixture(scope="session")
def release_for(tmp_path_factory: pytest.TempPathFactory) -> ReleaseFor:
    """A clean release of the edition, and with as many patients, as a fault needs. Shared: copy it before changing it."""
    written: dict[tuple[EditionName, int], SyntheticRelease] = {}

    def get(fault: Fault) -> SyntheticRelease:
        key = (fault.edition or "october-2022", max(3, fault.patients))
        if key not in written:
            edition, patients = key
            root = tmp_path_factory.mktemp("release") / "release"
            written[key] = small_release(root, patients=patients, edition=edition)
        return written[key]

    return get
