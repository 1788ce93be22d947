"""Pictures of a report: chosen by `crlm_qc.rules.pictures`, read by `crlm_qc.evidence.pictures`, drawn and kept here."""
