"""Secrets at rest: encrypts the secrets that are written, and decrypts those that are read.

Operations work with texts as they are stored; the store's methods translate. So a secret is
encrypted in the database and plain in the domain. A text that this process can't decrypt stays
encrypted, so that a change of the rest of its row loses nothing.
"""

import secrets
from collections.abc import Callable
from dataclasses import replace

from reelhook.domain.conflicts import EndpointLockedError, ProjectLockedError
from reelhook.domain.encryption import (
    NONCE_BYTES,
    Keyring,
    Place,
    UndecryptableError,
    key_id_of,
)
from reelhook.domain.endpoint import Endpoint
from reelhook.domain.project import Project, SigningSecrets
from reelhook.ports import Destination, DueDeliveries, DueDelivery, DueEndpoint, NewJob

Convert = Callable[[str, Place], str]
"""Returns another form of the text at a place."""


class AtRest:
    """Encrypts and decrypts with the keys of this process. Without keys, texts are stored plain."""

    def __init__(self, keyring: Keyring | None = None) -> None:
        self._keyring = keyring or Keyring()
        self.newest_id = self._keyring.newest_id

    def encrypt(self, text: str, place: Place) -> str:
        """Return a text as it is stored."""
        return self._keyring.encrypt(text, place, secrets.token_bytes(NONCE_BYTES))

    def decrypt(self, text: str, place: Place) -> str:
        """Return a stored text in plain. Raises `UndecryptableError`."""
        return self._keyring.decrypt(text, place)

    def decrypt_if_possible(self, text: str, place: Place) -> str:
        """Return a stored text in plain, or as it is stored if it can't be decrypted here."""
        try:
            return self._keyring.decrypt(text, place)
        except UndecryptableError:
            return text

    def reencrypt(self, text: str, place: Place) -> str:
        """Return a stored text encrypted with the newest key. Raises `UndecryptableError`."""
        if key_id_of(text) == self.newest_id:
            return text
        return self.encrypt(self.decrypt(text, place), place)

    # -- projects -----------------------------------------------------------------------------

    def encrypted_project(self, project: Project) -> Project:
        """Return a project as it is stored."""
        return _converted_project(project, self.encrypt)

    def decrypted_project(self, project: Project) -> Project:
        """Return a stored project. What can't be decrypted here stays encrypted."""
        return _converted_project(project, self.decrypt_if_possible)

    def decrypted_if_found(self, project: Project | None) -> Project | None:
        """Return a stored project, if there is one, as `decrypted_project` does."""
        return project and self.decrypted_project(project)

    def decrypted_projects(self, projects: list[Project]) -> list[Project]:
        """Return stored projects as `decrypted_project` does."""
        return [self.decrypted_project(project) for project in projects]

    def changing_project(
        self, change: Callable[[Project], Project]
    ) -> Callable[[Project], Project]:
        """Return a change of a stored project.

        It raises `ProjectLockedError` if it would change secrets that can't be decrypted here.
        """

        def changed(stored: Project) -> Project:
            before = self.decrypted_project(stored)
            after = change(before)
            if after == before:
                return stored
            if before.locked and after.secrets != before.secrets:
                raise ProjectLockedError(before.id)
            return self.encrypted_project(after)

        return changed

    # -- endpoints ----------------------------------------------------------------------------

    def encrypted_endpoint(self, endpoint: Endpoint) -> Endpoint:
        """Return an endpoint as it is stored."""
        return endpoint if self.newest_id is None else _converted(endpoint, self.encrypt)

    def decrypted_endpoint(self, endpoint: Endpoint) -> Endpoint:
        """Return a stored endpoint. It is locked if its secrets can't be decrypted here."""
        return _converted(endpoint, self.decrypt_if_possible) if endpoint.locked else endpoint

    def changing(self, change: Callable[[Endpoint], Endpoint]) -> Callable[[Endpoint], Endpoint]:
        """Return a change of a stored endpoint.

        It raises `EndpointLockedError` if it would change secrets that can't be decrypted here.
        """

        def changed(stored: Endpoint) -> Endpoint:
            before = self.decrypted_endpoint(stored)
            after = change(before)
            if after is before:
                return stored
            if before.locked and not after.same_secrets_as(before):
                raise EndpointLockedError(before.id)
            return self.encrypted_endpoint(after)

        return changed

    def decrypted_endpoints(self, endpoints: list[Endpoint]) -> list[Endpoint]:
        """Return stored endpoints as `decrypted_endpoint` does."""
        return [self.decrypted_endpoint(endpoint) for endpoint in endpoints]

    def decrypted_due(self, due: DueDeliveries) -> DueDeliveries:
        """Return due deliveries with their endpoints decrypted."""
        endpoints = tuple(self._decrypted_due_endpoint(found) for found in due.endpoints)
        return replace(due, endpoints=endpoints)

    def decrypted_due_endpoint(self, found: DueEndpoint | None) -> DueEndpoint | None:
        """Return a due delivery, if there is one, with its endpoint decrypted."""
        return found and self._decrypted_due_endpoint(found)

    def _decrypted_due_endpoint(self, found: DueEndpoint) -> DueEndpoint:
        if not (found.endpoint.locked or any(due.locked for due in found.deliveries)):
            return found  # nothing in it is encrypted
        deliveries = tuple(map(self._decrypted_due_delivery, found.deliveries))
        return DueEndpoint(self.decrypted_endpoint(found.endpoint), deliveries)

    # -- secrets of requests ------------------------------------------------------------------

    def encrypted_new(self, new: NewJob) -> NewJob:
        """Return a new job with its secret as it is stored."""
        if self.newest_id is None or not any(to.secret for to in new.destinations):
            return new
        destinations = tuple(
            to if to.secret is None else replace(to, secret=self.encrypt(to.secret, place))
            for place in [_place_of(new.job.id)]
            for to in new.destinations
        )
        return replace(new, destinations=destinations)

    def decrypted_destinations(
        self, job_id: str, destinations: list[Destination]
    ) -> list[Destination]:
        """Return the stored destinations of a job.

        Raises `EndpointLockedError` if its secret can't be decrypted here.
        """
        return [self._decrypted_destination(job_id, destination) for destination in destinations]

    def _decrypted_destination(self, job_id: str, to: Destination) -> Destination:
        if to.secret is None:
            return to
        try:
            return replace(to, secret=self.decrypt(to.secret, _place_of(job_id)))
        except UndecryptableError:
            raise EndpointLockedError(to.endpoint_id) from None

    def _decrypted_due_delivery(self, due: DueDelivery) -> DueDelivery:
        if due.secret is None:
            return due
        place = _place_of(due.delivery.job_id)
        return replace(due, secret=self.decrypt_if_possible(due.secret, place))


def _place_of(job_id: str) -> Place:
    """Return the place of a request's own secret, which the deliveries of its job share."""
    return ("deliveries", job_id, "secret")


def mapped_place(table: str, row: str, column: str, name: str) -> Place:
    """Return the place of one value in a column of values by name."""
    return (table, row, f"{column}/{name}")


def _converted_project(project: Project, convert: Convert) -> Project:
    def text(column: str, value: str | None) -> str | None:
        return None if value is None else convert(value, ("projects", project.id, column))

    return replace(
        project,
        secret=text("secret", project.secret),
        previous_secret=text("previous_secret", project.previous_secret),
    )


def _converted_secrets(
    project: str, secrets: SigningSecrets | None, convert: Convert
) -> SigningSecrets | None:
    if secrets is None:
        return None
    previous = secrets.previous
    if previous is not None:
        previous = convert(previous, ("projects", project, "previous_secret"))
    secret = convert(secrets.secret, ("projects", project, "secret"))
    return replace(secrets, secret=secret, previous=previous)


def _converted(endpoint: Endpoint, convert: Convert) -> Endpoint:
    def text(column: str, value: str | None) -> str | None:
        return None if value is None else convert(value, ("endpoints", endpoint.id, column))

    return replace(
        endpoint,
        secret=text("secret", endpoint.secret),
        previous_secret=text("previous_secret", endpoint.previous_secret),
        headers=tuple(
            (name, convert(value, mapped_place("endpoints", endpoint.id, "headers", name)))
            for name, value in endpoint.headers
        ),
        project_secrets=_converted_secrets(endpoint.project, endpoint.project_secrets, convert),
    )
