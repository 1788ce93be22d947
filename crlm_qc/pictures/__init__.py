"""Pictures of a report: chosen by `crlm_qc.pictures.choose`, read by `crlm_qc.evidence.pictures`, drawn and kept here."""
