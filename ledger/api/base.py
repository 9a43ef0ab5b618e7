"""The kinds of view: open to all, for API keys with a scope, and lists in pages."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Collection, Mapping
from typing import Any, ClassVar, TypeVar

from django.db.models import Model, QuerySet
from django.utils.cache import patch_cache_control
from rest_framework.generics import GenericAPIView
from rest_framework.metadata import BaseMetadata
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from ledger.api.errors import BodyLengthMissing, InvalidRequest
from ledger.api.permissions import HasScope
from ledger.parties.keys import Scope

Row = TypeVar("Row", bound=Model)


def refuse_unknown_parameters(request: Request, known: Collection[str]) -> None:
    """Refuse query parameters that nobody reads: a misspelt one would silently mean nothing."""
    unknown = sorted(set(request.query_params) - set(known))
    if unknown:
        errors = [{"field": name[:80], "detail": "This parameter is not known here."} for name in unknown[:20]]
        raise InvalidRequest("The request is not valid: unknown query parameters.", errors=errors)


class Methods(BaseMetadata):
    """What OPTIONS answers: the methods of an address, and the media types it reads."""

    def determine_metadata(self, request: Request, view: APIView) -> dict[str, Any]:
        return {"methods": view.allowed_methods, "reads": [parser.media_type for parser in view.parser_classes]}


class PublicView(APIView):
    """Open to everyone; looks at no key, so a wrong one does no harm."""

    metadata_class = Methods
    authentication_classes = ()
    permission_classes = (AllowAny,)


class PartyView(APIView):
    """For API keys. `scopes` names, by method, the scopes of which a key needs one; a method not named needs none.

    What it answers is nobody else's, so no cache keeps it, unless the view says otherwise.
    """

    metadata_class = Methods
    permission_classes = (HasScope,)
    scopes: ClassVar[Mapping[str, tuple[Scope, ...]]] = {}

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        if "Transfer-Encoding" in request.headers and "Content-Length" not in request.headers:
            # WSGI would show an empty body, and the caller would be told that every field is missing.
            raise BodyLengthMissing("Send the body with a Content-Length, not in chunks.")

    def finalize_response(self, request: Request, response: Response, *args: Any, **kwargs: Any) -> Response:
        answer = super().finalize_response(request, response, *args, **kwargs)
        if not answer.has_header("Cache-Control"):
            patch_cache_control(answer, private=True, no_store=True)
        return answer


class PageView(GenericAPIView[Row]):
    """A list: `get_queryset`, narrowed by `filterset_class`, in pages by `page_order`, rendered by `serializer_class`.

    `own_parameters` are the query parameters that the view reads itself; with those of the filters and of paging they
    are all there are.
    """

    page_order: ClassVar[tuple[str, ...]] = ("-id",)
    filterset_class: ClassVar[Any] = None
    own_parameters: ClassVar[tuple[str, ...]] = ()

    def list(self, request: Request) -> Response:
        filters = self.filterset_class.base_filters if self.filterset_class else ()
        refuse_unknown_parameters(request, {"limit", "cursor", *filters, *self.own_parameters})
        page = self.paginate_queryset(self.filter_queryset(self.get_queryset()))
        return self.get_paginated_response(self.get_serializer(self.rendered(page or []), many=True).data)

    def rendered(self, page: Any) -> Any:
        """What the serializer gets for the rows of a page."""
        return page

    @abstractmethod
    def get_queryset(self) -> QuerySet[Row]:
        """The rows of the list, before filters and paging."""
