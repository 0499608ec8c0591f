"""Refusals of creates by servers, and by gateways in front of them, that give no reason."""

from enum import StrEnum

from aiohttp import web

BUSY = "The limit of 1 concurrent tasks has been reached. Please try again later."
_PAGE = (
    "<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body>\r\n"
    "<center><h1>502 Bad Gateway</h1></center>\r\n</body>\r\n</html>\r\n"
)


class CreateRefusal(StrEnum):
    """A status with a JSON body, as servers built on FastAPI send it, or a gateway's page."""

    SERVER_ERROR = "500"
    BAD_GATEWAY = "502"
    UNAVAILABLE = "503"
    CONFLICT = "409"
    PAGE = "page"

    def response(self) -> web.Response:
        """Return the response."""
        if self is CreateRefusal.PAGE:
            return web.Response(status=502, text=_PAGE, content_type="text/html")
        return web.json_response({"detail": BUSY}, status=int(self.value))
