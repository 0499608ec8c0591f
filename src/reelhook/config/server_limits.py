"""The settings that limit what clients can take from the server."""

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from reelhook.config.loading import LoadedSettings
from reelhook.config.network_validators import Networks
from reelhook.config.validators import DAY_SECONDS


class ServerLimitSettings(LoadedSettings):
    """Limits of requests, connections and live streams."""

    model_config = SettingsConfigDict(defer_build=True)  # a base only: building takes 10 ms

    request_head_kib: int = Field(
        64, ge=8, le=1024, description="a whole number of KiB from 8 to 1024"
    )
    request_head_seconds: float = Field(
        10.0,
        gt=0,
        le=DAY_SECONDS,
        allow_inf_nan=False,
        description="a number of seconds above 0, up to 86400",
    )
    request_body_mib: int = Field(1, ge=1, le=64, description="a whole number of MiB from 1 to 64")
    upload_max_mib: int = Field(32, ge=1, le=64, description="a whole number of MiB from 1 to 64")
    uploads_max_gib: int = Field(
        10, ge=1, le=1_000_000, description="a whole number of GiB from 1 to 1000000"
    )
    transfer_seconds: float = Field(
        60.0,
        gt=0,
        le=DAY_SECONDS,
        allow_inf_nan=False,
        description="a number of seconds above 0, up to 86400",
    )
    keep_alive_seconds: float = Field(
        75.0,
        gt=0,
        le=DAY_SECONDS,
        allow_inf_nan=False,
        description="a number of seconds above 0, up to 86400",
    )
    connections_max: int | None = Field(
        None, ge=1, le=1_000_000, description="a whole number from 1 to 1000000"
    )
    trusted_proxies: Networks = Field(
        (), description="addresses and networks like 127.0.0.1,10.0.0.0/8, separated by commas"
    )
    streams_max: int = Field(
        10_000, ge=1, le=1_000_000, description="a whole number from 1 to 1000000"
    )
