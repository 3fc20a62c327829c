"""The settings: each with its type, allowed values, default and purpose."""

import os
import ssl
from collections.abc import Collection
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Literal, get_args, get_origin

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator
from pydantic.fields import FieldInfo

from ..caps import Cap, OperatorCaps, Period
from ..routing.routes import Route
from ..sms.stop_words import START_WORDS, STOP_WORDS
from .route_table import RouteTable, check_routes
from .values import (
    Address,
    Allowed,
    CapOrNone,
    Countries,
    DatabaseUrl,
    Days,
    Domain,
    Hours,
    KeyFile,
    MailAddress,
    Networks,
    OperatorCallback,
    OptionalAddress,
    PartsOrNone,
    PemFile,
    Ports,
    PrefixCaps,
    PublicUrl,
    Region,
    Relay,
    Seconds,
    SecretTable,
    SecretUrl,
    UpstreamUrl,
    Words,
    lower,
    split_address,
)

#: The upstream that the setting `upstream` describes, and the sandbox that serves test keys.
DEFAULT_UPSTREAM, TEST_UPSTREAM = "default", "test"


_WORDS = Allowed('a table of languages and words: en = ["STOP"]')


def _default_database_url() -> SecretUrl:
    # The same file, whatever directory a command is started in.
    data = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    return SecretUrl(f"sqlite:///{Path(data, 'sendsmsnow', 'sendsmsnow.sqlite3')}")


class Settings(BaseModel):
    """The settings of a gateway, each valid and all fitting together."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    database_url: DatabaseUrl = Field(default_factory=_default_database_url)
    """The database of accounts and messages. The default is one SQLite file in the user's data
    directory. SQLite serves one machine; PostgreSQL serves any number of processes on any number
    of machines. Of several hosts the first is used that can be written to
    (docs/use/standby.md)."""

    database_timeout: Seconds = timedelta(seconds=5)
    """How long a host of PostgreSQL may take to let us in, to acknowledge what it was sent, and to
    answer a transaction that accepts messages or writes down what became of them. Then the
    connection is given up and the next one opened. What the URL says itself (`connect_timeout`,
    `tcp_user_timeout`, `keepalives…`) stays."""

    database_statement_timeout: Seconds = timedelta(seconds=60)
    """After how long PostgreSQL ends a statement, or a transaction in which nothing happens.
    Migrations have no limit."""

    database_lock_timeout: Seconds = timedelta(seconds=3)
    """After how long PostgreSQL ends a statement that waits for a lock of somebody else."""

    database_connections: Annotated[int, Field(ge=5, le=1000), Allowed("5 to 1000")] = 15
    """The most connections to PostgreSQL that each process opens. Most have one to three."""

    encryption_key_file: KeyFile = None
    """The file with the keys by which texts and numbers are encrypted in the database
    (docs/use/encryption.md): mode 600, a key on each line, the first encrypts. `credential:NAME` is
    a credential of systemd. Without it they are in clear."""

    bind: Address = "127.0.0.1:8000"
    """The address at which the web process listens. Only this machine reaches the default."""

    public_url: PublicUrl | None = None
    """The address by which callers reach the gateway, as it stands in the WSDL: behind a proxy
    the proxy's. The default is made of `bind`."""

    certfile: PemFile | None = None
    """The certificate, and its chain, to serve HTTPS with. Goes with `keyfile`."""

    keyfile: PemFile | None = None
    """The private key of `certfile`, without a pass phrase."""

    hsts_max_age: Days = timedelta(days=30)
    """For how long browsers that came by HTTPS come by nothing else (Strict-Transport-Security): to
    this server with `certfile`, or to one of `proxies` that says so in `X-Forwarded-Proto`. By
    plain HTTP nothing is said of it. 0 has browsers forget it; none says nothing, as where a proxy
    adds the header itself."""

    workers: Annotated[int, Field(ge=1, le=256), Allowed("1 to 256")] | None = None
    """How many web processes serve requests. The default depends on the database: 1
    for SQLite, which has one writer at a time, and half the number of processors for PostgreSQL."""

    web_worker: Annotated[
        Literal["express", "asgi"], BeforeValidator(lower), Allowed("express or asgi")
    ] = "express"
    """The HTTP parser. `express` is our own for plainly written requests, in a third of the time,
    with gunicorn's `asgi` worker for all others; `asgi` uses gunicorn's for all."""

    connections: Annotated[int, Field(ge=10, le=100_000), Allowed("10 to 100000")] = 2000
    """How many connections one web process holds at a time. At the limit the connection
    idle longest makes room, or else the request unfinished longest; a client that finds no room
    is told to come back (code 30, HTTP 503). A process needs two open files for each."""

    connections_per_network: Annotated[int, Field(ge=1, le=100_000), Allowed("1 to 100000")] = 200
    """How many connections one network may have: a /24, or a /48 of IPv6. Connections of
    `proxies` are not counted."""

    bodies_per_network: Annotated[int, Field(ge=1, le=100_000), Allowed("1 to 100000")] = 50
    """How many requests of one network may be under way, in one web process, whose bodies have
    not come whole. Behind `proxies` the network is that of the client they name."""

    upstream: UpstreamUrl = SecretUrl("sandbox:")
    """The connection by which messages leave: a carrier's SMSC, or the sandbox, which sends
    nothing and answers as the number asks it to. A query adds options:
    docs/adding-an-upstream.md, docs/use/smpp.md."""

    upstreams: Annotated[
        dict[str, UpstreamUrl], Allowed("a table of names and upstreams, written as upstream is")
    ] = Field(default_factory=dict)
    """More upstreams, by name, for `routes`; the one that `upstream` describes is named
    `default`. Only in the file."""

    routes: Annotated[
        tuple[RouteTable, ...],
        Allowed('tables of prefix = "32" and upstreams = ["NAME"], or closed = true'),
    ] = ()
    """Which upstreams take which numbers, and how: docs/routes.md. The longest prefix wins; a
    number that fits none goes to `default`. A closed route takes nothing (code 99). Only in the
    file."""

    failover_after: Seconds = timedelta(seconds=10)
    """How long an upstream may be away, or fail with everything, until the next one of its routes
    stands in for it."""

    stop_words: Annotated[dict[str, Words], _WORDS] = Field(
        default_factory=lambda: dict(STOP_WORDS)
    )
    """The words by which a handset stops the messages of an account, by language.
    The whole message has to be one of the words; case and accents do not matter. Only in the
    file."""

    start_words: Annotated[dict[str, Words], _WORDS] = Field(
        default_factory=lambda: dict(START_WORDS)
    )
    """The words by which a handset gets them again. Only in the file."""

    callback_allow_private: Networks = ""
    """Networks that are not public and that callbacks may go to all the same (docs/callbacks.md),
    such as that of a company."""

    callback_ports: Ports = "80,443,1024-65535"
    """The ports that callbacks may go to. The default leaves out those of other services, such as
    mail (25): what they would make of an HTTP request is not for an account to try."""

    total_parts_per_day: PartsOrNone = None
    """The most parts that all keys together may have accepted in a day (UTC). More is refused
    (code 100) until midnight, or until `sendsmsnow cap lift --total`."""

    prefix_caps: PrefixCaps = Field(default_factory=dict)
    """The most parts for all numbers that begin with a prefix, of all keys together. Every prefix
    that fits counts. Only in the file."""

    number_cap: CapOrNone = None
    """The most parts for one number, of all keys together."""

    range_cap: CapOrNone = None
    """The most parts for a range of a thousand numbers, which differ in their last three digits
    only, of all keys together. Artificial traffic runs through such ranges."""

    free_key_countries: Countries = ""
    """The only countries that free keys may send to (code 99). The default is every country with
    a route."""

    free_key_parts_per_day: PartsOrNone = 100
    """The most parts that a free key may have accepted in a day (UTC)."""

    free_key_number_cap: CapOrNone = Cap(20, Period.HOUR)
    """The most parts for one number, of all free keys together."""

    free_key_range_cap: CapOrNone = Cap(100, Period.HOUR)
    """The most parts for a range of a thousand numbers, of all free keys together."""

    free_keys_per_network_per_day: PartsOrNone = 10
    """How many free keys a network (a /24, or a /48 of IPv6) may be given in a day (UTC)."""

    free_key_fold_plus: Annotated[bool, Allowed("true or false")] = True
    """Whether `anna+1@example.com` and `anna@example.com` are one address, which has one free
    key."""

    operator_callback: OperatorCallback = None
    """Where the operator is told of caps that were reached (docs/use/bill.md). The password in the
    URL signs the callbacks, and is not sent."""

    default_region: Region = None
    """The country of numbers written as at home, such as 0494 00 00 00. Digits without + or 00
    are then first read as a national number of this country, with or without its trunk prefix, and
    only then as an international number. Without it every number needs its country code."""

    max_parts: Annotated[int, Field(ge=1, le=255), Allowed("1 to 255")] = 10
    """The most parts a text may take (of 153 characters, or 67 with any outside the GSM
    alphabet); a longer text is refused (code 7)."""

    validity: Hours = timedelta(hours=48)
    """How long a message is worth delivering; after that it is given up as `expired`."""

    history_days: Annotated[int, Field(ge=1, le=36_500), Allowed("1 to 36500")] | None = None
    """After how many days messages are deleted, sent and received ones, with all that is known of
    them. Their daily counts by key, country and outcome stay (`sendsmsnow counts`), and so do
    messages without an outcome yet. PostgreSQL deletes whole periods, a twelfth of this time long
    (at least a day, at most 30), when all of a period is old enough. The default keeps all."""

    audit_days: Annotated[int, Field(ge=1, le=36_500), Allowed("1 to 36500")] = 365
    """For how many days the audit trail is kept: who made, changed and used keys, from which
    network (`sendsmsnow audit`)."""

    backend_timeout: Seconds = timedelta(seconds=20)
    """How long a request may take before it is answered with code 6."""

    queue_limit: Annotated[int, Field(ge=1, le=10**6), Allowed("1 to 1000000")] = 10_000
    """How many requests may wait for the database in one web process; the rest are refused at
    once (code 30, HTTP 503)."""

    lease: Seconds = timedelta(seconds=15)
    """How long a worker that has fallen silent keeps the messages it claimed, before another
    takes them over."""

    poll_interval: Seconds = timedelta(milliseconds=50)
    """How often a worker with nothing to do looks for new messages that nobody can tell it of: a
    second worker at a SQLite file, or one behind PgBouncer. Others are told at once."""

    mail_bind: OptionalAddress = None
    """The address at which mails come in by SMTP, to be sent as SMS (docs/email.md). Without it
    there is no e-mail face."""

    mail_domain: Domain = None
    """The domain of the addresses of all keys. Goes with `mail_bind`."""

    mail_certfile: PemFile | None = None
    """The certificate, and its chain, for STARTTLS. Goes with `mail_keyfile`; without them mail
    comes in the clear."""

    mail_keyfile: PemFile | None = None
    """The private key of `mail_certfile`, without a pass phrase."""

    mail_max_size: Annotated[
        int, Field(ge=10_000, le=100_000_000), Allowed("10000 to 100000000")
    ] = 5_000_000
    """The most octets that a mail may have, attachments included."""

    mail_timeout: Seconds = timedelta(minutes=5)
    """How long a client may take for a command, or for a whole mail (RFC 5321 asks for five
    minutes)."""

    mail_connections: Annotated[int, Field(ge=1, le=10_000), Allowed("1 to 10000")] = 100
    """How many SMTP connections are open at a time; more are asked to come back later."""

    mail_per_network: Annotated[int, Field(ge=1, le=10_000), Allowed("1 to 10000")] = 20
    """How many SMTP connections one network may have: a /24, or a /48 of IPv6."""

    mail_rate: Annotated[int, Field(ge=0, le=100_000), Allowed("0 to 100000")] = 100
    """How many mails one network may begin in a minute; 0 is no limit, for a mail server in front
    that has limits of its own."""

    smtp_relay: Relay = None
    """The mail server that takes the mails which confirm an address for a free key; STARTTLS is
    used where it is offered. Without it a request waits for `sendsmsnow key approve`."""

    mail_from: MailAddress = None
    """The sender of these mails. Goes with `smtp_relay`."""

    proxies: Networks = "127.0.0.0/8,::1/128"
    """The proxies whose `X-Forwarded-For` is believed. The limits of the pages and
    `bodies_per_network` count by it."""

    log_level: Annotated[
        Literal["debug", "info", "warning", "error"],
        BeforeValidator(lower),
        Allowed("debug, info, warning or error"),
    ] = "info"
    """The least important lines that are logged."""

    log_format: Annotated[
        Literal["text", "json"], BeforeValidator(lower), Allowed("text or json")
    ] = "text"
    """Lines for people, or a JSON object on each line; on standard error either way."""

    @model_validator(mode="after")
    def _fits_together(self) -> "Settings":
        if (self.certfile is None) != (self.keyfile is None):
            raise ValueError("certfile and keyfile go together: set both or neither")
        if (self.mail_certfile is None) != (self.mail_keyfile is None):
            raise ValueError("mail_certfile and mail_keyfile go together: set both or neither")
        if self.mail_bind is not None and self.mail_domain is None:
            raise ValueError("mail_bind needs mail_domain: what follows the @ of all addresses")
        if (self.smtp_relay is None) != (self.mail_from is None):
            raise ValueError("smtp_relay and mail_from go together: set both or neither")
        self.tls_context()
        self.mail_tls_context()
        for name in self.upstreams:
            if name in (DEFAULT_UPSTREAM, TEST_UPSTREAM):
                raise ValueError(
                    f"upstreams.{name}: the name is taken; allowed: any but {DEFAULT_UPSTREAM} "
                    f"(which the setting upstream describes) and {TEST_UPSTREAM}"
                )
        check_routes(self.routes, {DEFAULT_UPSTREAM, *self.upstreams})
        return self

    @property
    def is_sqlite(self) -> bool:
        """Whether the database is a SQLite file."""
        return self.database_url.get_secret_value().startswith("sqlite:")

    def changed(self) -> list[str]:
        """The names of the settings that are not as they are by default."""
        return [
            name
            for name, field in type(self).model_fields.items()
            if getattr(self, name) != field.get_default(call_default_factory=True)
        ]

    def external_url(self) -> str:
        """`public_url`, or the URL that follows from `bind`."""
        if self.public_url is not None:
            return self.public_url
        host, port = split_address(self.bind)
        if host in ("0.0.0.0", "::"):  # noqa: S104 - "everywhere" is no place to call
            host = "localhost"
        scheme, usual = ("https", 443) if self.certfile else ("http", 80)
        netloc = f"[{host}]" if ":" in host else host
        return f"{scheme}://{netloc}" + (f":{port}" if port != usual else "")

    def web_processes(self) -> int:
        """`workers`, or the default for the database."""
        # The worker needs the other half, and PostgreSQL where it is on the same machine.
        return self.workers or (1 if self.is_sqlite else max(1, (os.cpu_count() or 1) // 2))

    def tls_context(self) -> ssl.SSLContext | None:
        """The TLS context of HTTPS; None for HTTP. ValueError when the files do not fit."""
        return _tls_context("", self.certfile, self.keyfile)

    def mail_tls_context(self) -> ssl.SSLContext | None:
        """The TLS context of STARTTLS; None for none. ValueError when the files do not fit."""
        return _tls_context("mail_", self.mail_certfile, self.mail_keyfile)

    def caps(self) -> OperatorCaps:
        """What is capped for all keys, and for free keys."""

        def by_day(parts: int | None) -> Cap | None:
            return None if parts is None else Cap(parts, Period.DAY)

        countries = self.free_key_countries
        return OperatorCaps(
            total=by_day(self.total_parts_per_day),
            number=self.number_cap,
            range=self.range_cap,
            prefixes=self.prefix_caps,
            free_key=by_day(self.free_key_parts_per_day),
            free_number=self.free_key_number_cap,
            free_range=self.free_key_range_cap,
            free_countries=frozenset(countries.split(",")) if countries else None,
        )

    def upstream_urls(self) -> dict[str, SecretUrl | SecretTable]:
        """All upstreams by name; `default` among them where a route uses it."""
        used = {name for route in self.all_routes() for name in route.upstreams}
        default = {DEFAULT_UPSTREAM: self.upstream} if DEFAULT_UPSTREAM in used else {}
        return {**default, **self.upstreams}

    def all_routes(self) -> tuple[Route, ...]:
        """One route for each prefix, and that to `default` unless the file has its own for ""."""
        routes = [route for table in self.routes for route in table.routes()]
        if not any(route.prefix == "" for route in routes):
            routes.append(Route(prefix="", upstreams=(DEFAULT_UPSTREAM,)))
        return tuple(routes)


def _tls_context(prefix: str, certfile: Path | None, keyfile: Path | None) -> ssl.SSLContext | None:
    if certfile is None or keyfile is None:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        # The empty pass phrase keeps OpenSSL from asking for one on the terminal.
        context.load_cert_chain(certfile, keyfile, password=b"")
    except (ssl.SSLError, OSError, ValueError):
        raise ValueError(
            f"{prefix}certfile {str(certfile)!r} and {prefix}keyfile {str(keyfile)!r} are not a "
            "certificate and its private key; allowed: two PEM files, the key without a "
            "pass phrase"
        ) from None
    return context


def allowed(field: FieldInfo) -> str:
    """The allowed values of a setting, in words."""
    return next(note.words for note in _notes(field.annotation, field.metadata))


def _notes(annotation: object, metadata: Collection[object]) -> list[Allowed]:
    found = [note for note in metadata if isinstance(note, Allowed)]
    for part in get_args(annotation) if not found else ():
        if get_origin(part) is Annotated:
            found += _notes(None, part.__metadata__)
    return found
