"""What every slice's HTTP needs: who is asking, units of work, paging, and errors in the caller's dialect."""

from penstock.core.http.dependencies import AdminActor, CurrentActor, HomeDep, ReadUow, WriteUow
from penstock.core.http.families import render_error
from penstock.core.http.leaving import PatientRead
from penstock.core.http.paging import Page, decode_cursor, encode_cursor

__all__ = [
    "AdminActor",
    "CurrentActor",
    "HomeDep",
    "Page",
    "PatientRead",
    "ReadUow",
    "WriteUow",
    "decode_cursor",
    "encode_cursor",
    "render_error",
]
