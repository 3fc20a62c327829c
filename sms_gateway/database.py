"""Opens the database of the settings, and creates and migrates it."""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError

from .errors import UnavailableError
from .moments import now
from .settings import Settings, SettingsError
from .store import (
    Limits,
    Store,
    audit,
    database_file,
    encryption,
    grants,
    migrate,
    pending_migration,
)
from .store.audit import Action
from .store.encryption import EncryptionKeyError
from .store.key_file import KeyFileError, seal_from
from .store.migrate import contract
from .store.sealed import Seal, seal_of


@contextmanager
def opened(settings: Settings, role: grants.Role | None = None) -> Iterator[Store]:
    """Open the store.

    UnavailableError when its schema differs, it cannot be reached, or the database does not allow
    its user all statements of this role.
    """
    with _open(settings, create=False) as store:
        with _told(settings):
            store.clock.read()
            missing = [] if role is None else _missing(store, role)
            # The version of the schema is in a table, which the user may not be allowed to read.
            pending = None if missing else pending_migration(store)
        if missing:
            raise UnavailableError(
                f"the user of the database {settings.database_url} may not do all that {role} "
                f"does ({', '.join(missing)}); the owner of the tables has to apply what "
                "sendsmsnow grants prints"
            )
        if pending is not None:
            raise UnavailableError(
                f"the database {settings.database_url} is not at the schema of this version "
                f"({pending}); run sendsmsnow migrate"
            )
        with _told(settings):
            try:
                encryption.check(store, seal_of(store.engine.dialect))
            except EncryptionKeyError as error:
                raise UnavailableError(
                    f"the database {settings.database_url} cannot be read: {error}"
                ) from None
        yield store


def seal(settings: Settings) -> Seal | None:
    """The seal that encrypts texts and numbers; None leaves them in clear."""
    file = settings.encryption_key_file
    if file is None:
        return None
    try:
        return seal_from(file)
    except KeyFileError as error:
        raise SettingsError(f"encryption_key_file = {file!r} is wrong; {error}") from None
    except ModuleNotFoundError:
        raise UnavailableError(
            "encryption_key_file needs cryptography: pip install 'sendsmsnow[encryption]'"
        ) from None


def limits(settings: Settings) -> Limits:
    """The limits of connections to PostgreSQL."""
    return Limits(
        silence=settings.database_timeout.total_seconds(),
        statement=settings.database_statement_timeout.total_seconds(),
        lock=settings.database_lock_timeout.total_seconds(),
        connections=settings.database_connections,
    )


def _missing(store: Store, role: grants.Role) -> list[str]:
    with store.read() as connection:
        return grants.missing(connection, role)


def migrated(settings: Settings) -> str | None:
    """Bring the database to the schema of this version; create it if it does not exist.

    Returns the new schema; None when there was nothing to do.
    """
    with _open(settings, create=True) as store, _told(settings):
        pending = pending_migration(store)
        if pending is not None:
            migrate(store)
            with store.write() as connection:
                audit.record(
                    connection, Action.SCHEMA_MIGRATE, None, {"schema": pending}, now=now()
                )
        contract(store)
        return pending


@contextmanager
def _open(settings: Settings, *, create: bool) -> Iterator[Store]:
    url = settings.database_url.get_secret_value()
    keys = seal(settings)
    try:
        file = database_file(url)
        if file is not None and not create and not file.exists():
            raise UnavailableError(f"there is no database {file}; run sendsmsnow migrate")
        with _told(settings):
            if file is not None and create:
                file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            store = Store(url, keys, limits(settings))
    except (ArgumentError, ValueError):
        raise SettingsError(f"database_url = {str(settings.database_url)!r} is no URL") from None
    except (ModuleNotFoundError, NoSuchModuleError):
        raise UnavailableError(
            "PostgreSQL needs psycopg: pip install 'sendsmsnow[postgresql]'"
        ) from None
    try:
        yield store
    finally:
        store.close()


@contextmanager
def _told(settings: Settings) -> Iterator[None]:
    """Turn errors of the database into an UnavailableError of one line."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or type(error).__name__
    except DBAPIError as error:
        reason = str(error.orig).strip().partition("\n")[0]
    else:
        return
    raise UnavailableError(f"the database {settings.database_url} cannot be used: {reason}")
