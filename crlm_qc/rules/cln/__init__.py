"""CLN: the clinical workbook."""
