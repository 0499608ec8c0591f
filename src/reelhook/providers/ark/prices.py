"""The prices of the Seedance models at BytePlus (USD) and at Volcengine (CNY).

Ark charges by tokens: width x height x 24 frames x seconds / 1024, from the pages below. A second
has the tokens of the largest frame of its resolution, whichever ratio that has. Models without an
entry have no known price.
"""

from reelhook.domain.price import ModelPrice, Options, Price, PriceLine

BYTEPLUS = "https://docs.byteplus.com/en/docs/ModelArk/1544106"
VOLCENGINE = "https://www.volcengine.com/docs/82379/1544106"
_SEEDANCE_1 = "https://docs.dev.xavier.icvr.xyz/models/byteplus/seedance-1-5-pro-251215.html"
_PIXELS = {"480p": 992 * 432, "720p": 1112 * 834, "1080p": 2206 * 946}
"""The largest frame of each resolution."""
_FRAMES_PER_SECOND = 24
_OPTIONS = Options(
    audio="generate_audio",
    # A video among the inputs has another price for a token, and tokens of its own.
    unpriced=("content.video_url", "frames"),
)

Million = dict[str, float]
"""The price of a million tokens, by resolution."""


def _price(
    currency: str,
    source: str,
    date: str,
    million: Million,
    silent: Million | None = None,
) -> ModelPrice:
    """Return the price by tokens, with audio and, if it differs, without."""
    lines = [_line(amount, name, audio=None) for name, amount in million.items()]
    if silent is not None:
        lines = [_line(amount, name, audio=True) for name, amount in million.items()]
        lines += [_line(amount, name, audio=False) for name, amount in silent.items()]
    # A charge does not say for which resolution its tokens are, so the dearest counts.
    rate = Price(max(million.values()) / 1e6, currency)
    return ModelPrice(
        currency, tuple(lines), source, date, options=_OPTIONS, rates={"tokens": rate}
    )


def _line(million: float, resolution: str, *, audio: bool | None) -> PriceLine:
    tokens = _PIXELS[resolution] * _FRAMES_PER_SECOND / 1024
    return PriceLine(round(tokens * million / 1e6, 6), resolution=resolution, audio=audio)


def _same(amount: float) -> Million:
    return dict.fromkeys(_PIXELS, amount)


def _small(amount: float) -> Million:
    return {"480p": amount, "720p": amount}


def _byteplus(million: Million) -> ModelPrice:
    return _price("USD", BYTEPLUS, "2026-10-07", million)


def _volcengine(million: Million) -> ModelPrice:
    return _price("CNY", VOLCENGINE, "2026-11-29", million)


PRICES = {
    "dreamina-seedance-2-5-260628": _byteplus({"480p": 10.7, "720p": 10.7, "1080p": 11.7}),
    "dreamina-seedance-2-0-260128": _byteplus({"480p": 7.0, "720p": 7.0, "1080p": 7.7}),
    "dreamina-seedance-2-0-fast-260128": _byteplus(_small(5.6)),
    "dreamina-seedance-2-0-mini-260615": _byteplus(_small(3.5)),
    "seedance-1-5-pro-251215": _price(
        "USD", _SEEDANCE_1, "2026-11-29", _same(2.4), silent=_same(1.2)
    ),
    "seedance-1-0-pro-250528": _price("USD", _SEEDANCE_1, "2026-11-29", _same(2.5)),
    "seedance-1-0-lite-t2v-250428": _price("USD", _SEEDANCE_1, "2026-11-29", _same(1.8)),
    "seedance-1-0-lite-i2v-250428": _price("USD", _SEEDANCE_1, "2026-11-29", _same(1.8)),
    "doubao-seedance-2-5-260628": _volcengine({"480p": 70, "720p": 70, "1080p": 77}),
    "doubao-seedance-2-0-260128": _volcengine({"480p": 46, "720p": 46, "1080p": 51}),
    "doubao-seedance-2-0-fast-260128": _volcengine(_small(37)),
    "doubao-seedance-2-0-mini-260615": _volcengine(_small(23)),
}
