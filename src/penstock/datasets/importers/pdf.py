"""The text of PDF files, by pypdf (BSD-3-Clause)."""

from pathlib import Path

from pypdf import PdfReader
from pypdf.errors import PyPdfError

from penstock.core.errors import Invalid


def pages(path: Path) -> list[str]:
    """Return the text of each page; raises Invalid for a damaged or protected file. Scanned pages have no text."""
    try:
        with PdfReader(path) as reader:
            if reader.is_encrypted and not reader.decrypt(""):
                raise Invalid("the PDF file is protected by a password")
            return [page.extract_text().strip() for page in reader.pages]
    except (PyPdfError, OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise Invalid(f"not a PDF file that can be read: {error}") from error
