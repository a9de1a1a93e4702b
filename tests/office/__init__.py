"""Workbooks opened, filled in and saved by LibreOffice."""
