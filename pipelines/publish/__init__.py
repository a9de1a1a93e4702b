"""Publishing: suppression, marts, workbook, report, quality page, and the atomic release."""
