"""The clinical workbook: an xlsx file, or a CSV export of its patient sheet."""
