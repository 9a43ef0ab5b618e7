"""A statement's files as the interface hands them out."""

from __future__ import annotations

from django.http import StreamingHttpResponse
from django.utils.cache import patch_cache_control

from ledger.api.files import FileRenderer
from settlement.selectors.statement_files import StatementFile

FILE_TYPE = "application/jose+json"


class StatementFileRenderer(FileRenderer):
    """A statement's file; renders problems alone, since files are sent as they are made."""

    media_type = FILE_TYPE
    format = "jose"


def stream(file: StatementFile) -> StreamingHttpResponse:
    """The file, piece by piece; nobody else's cache keeps it."""
    response = StreamingHttpResponse(
        file.pieces,
        content_type=file.media_type,
        headers={"Content-Disposition": f'attachment; filename="{file.name}"'},
    )
    patch_cache_control(response, private=True, no_store=True)
    return response
