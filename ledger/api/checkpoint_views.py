"""The static address of the log's signed head: text for anyone, cacheable, without a key."""

from __future__ import annotations

import hashlib
from typing import Any

from django.http import HttpResponseBase
from django.utils.cache import get_conditional_response, patch_cache_control
from django.utils.http import quote_etag
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from ledger.api.base import PublicView
from ledger.api.files import OnlyForm, TextFileRenderer
from ledger.api.schema import refusals
from ledger.errors import NotFound
from ledger.log.checkpoints import get_checkpoint, latest_checkpoint
from ledger.models import Checkpoint

LATEST_SECONDS = 10
FOR_EVER_SECONDS = 31_536_000
_NOTE: dict[Any, Any] = {
    (200, "text/plain"): OpenApiResponse(OpenApiTypes.STR, "The signed note (C2SP tlog-checkpoint).")
}


class LatestCheckpointView(PublicView):
    """The newest signed head of the log."""

    renderer_classes = (TextFileRenderer,)
    content_negotiation_class = OnlyForm

    @extend_schema(tags=["evidence"], operation_id="get_latest_checkpoint", responses=_NOTE | refusals(404), auth=[])
    def get(self, request: Request) -> HttpResponseBase:
        """The newest checkpoint, as text. Keep one, and ask for a consistency proof later."""
        checkpoint = latest_checkpoint()
        if checkpoint is None:
            raise NotFound("No checkpoint has been published yet.")
        return _file(request, checkpoint, max_age=LATEST_SECONDS)


class CheckpointView(PublicView):
    """One signed head of the log."""

    renderer_classes = (TextFileRenderer,)
    content_negotiation_class = OnlyForm

    @extend_schema(
        tags=["evidence"],
        operation_id="get_checkpoint",
        parameters=[OpenApiParameter("size", OpenApiTypes.INT64, OpenApiParameter.PATH)],
        responses=_NOTE | refusals(404),
        auth=[],
    )
    def get(self, request: Request, size: int) -> HttpResponseBase:
        """The checkpoint over so many batches, as text. It never changes."""
        return _file(request, get_checkpoint(size), max_age=FOR_EVER_SECONDS, immutable=True)


def _file(request: Request, checkpoint: Checkpoint, **cache: Any) -> HttpResponseBase:
    note = checkpoint.note.encode()
    etag = quote_etag(hashlib.sha256(note).hexdigest())
    response = Response(note, headers={"ETag": etag})
    patch_cache_control(response, public=True, **cache)
    return get_conditional_response(request._request, etag=etag, response=response) or response
