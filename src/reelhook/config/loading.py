"""Loads settings: flags win over the environment, which wins over `.env`."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from pydantic import ValidationError
from pydantic.fields import FieldInfo
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from reelhook.config.env_file import readable
from reelhook.config.validators import environment_name
from reelhook.domain.errors import SettingsError


class _Variables(PydanticBaseSettingsSource):
    """Environment variables under our own names, and no others.

    With the aliases of pydantic-settings, flags could not be given by field name, or `HOST` and
    `URL` would be read.
    """

    def __init__(self, settings: type[BaseSettings], source: PydanticBaseSettingsSource) -> None:
        super().__init__(settings)
        self._variables: Mapping[str, str | None] = (
            source.env_vars if isinstance(source, EnvSettingsSource) else {}
        )

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        """Return a field's text, or None if it is unset or blank."""
        text = self._variables.get(environment_name(field_name)) or ""
        return (text if text.strip() else None), field_name, False

    def __call__(self) -> dict[str, Any]:
        """Return the text of every field that is set."""
        fields = self.settings_cls.model_fields
        texts = {name: self.get_field_value(field, name)[0] for name, field in fields.items()}
        return {name: text for name, text in texts.items() if text is not None}


class LoadedSettings(BaseSettings):
    """Settings that are loaded with `load`, and raise one-sentence errors."""

    model_config = SettingsConfigDict(
        frozen=True,
        extra="forbid",
        case_sensitive=True,
        env_file=".env",
        env_file_encoding="utf-8",
        validate_default=False,
        hide_input_in_errors=True,
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Return the sources, the first of which wins."""
        return (
            init_settings,
            _Variables(settings_cls, env_settings),
            _Variables(settings_cls, dotenv_settings),
        )

    @classmethod
    def load(cls, *, env_file: Path | None = Path(".env"), **overrides: Any) -> Self:
        """Read the settings. `overrides` are values by field name; None overrides nothing.

        Raises `SettingsError` with one sentence.
        """
        fields = {name: value for name, value in overrides.items() if value is not None}
        try:
            return cls(_env_file=readable(env_file), **fields)
        except ValidationError as error:
            raise SettingsError(cls._sentence(error)) from None
        except (OSError, UnicodeDecodeError):
            raise SettingsError(
                f"The file {env_file} can't be read; make it readable UTF-8 text, or remove it"
            ) from None

    @classmethod
    def _sentence(cls, error: ValidationError) -> str:
        first = error.errors(include_url=False, include_context=False)[0]
        name = str(first["loc"][0])
        field = cls.model_fields.get(name)
        if field is None:
            return f"{name} is not a setting; docs/settings.md lists all settings"
        sentence = f"{environment_name(name)} must be {field.description}"
        value = first["input"]
        return f"{sentence}, not {value!r}" if field.repr and isinstance(value, str) else sentence


class GivenSettings(LoadedSettings):
    """Settings that consist of given values alone: no environment and no `.env` is read."""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Return the given values as the only source."""
        return (init_settings,)
