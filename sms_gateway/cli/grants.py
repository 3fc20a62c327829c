"""Defines the command that prints the grants for database roles."""

import click

from ..store import grants as statements

#: The default names of the database roles.
NAMES: dict[statements.Role, str] = {role: f"sendsmsnow_{role}" for role in statements.ROLES}


@click.command()
@click.option("--web", metavar="ROLE", default=NAMES["web"], help="The role of `web`.")
@click.option("--worker", metavar="ROLE", default=NAMES["worker"], help="The role of `worker`.")
@click.option("--mail", metavar="ROLE", default=NAMES["mail"], help="The role of `mail`.")
@click.option(
    "--operator", metavar="ROLE", default=NAMES["operator"], help="The role for other commands."
)
def grants(web: str, worker: str, mail: str, operator: str) -> None:
    """Print what PostgreSQL lets each process do, as SQL.

    For processes that have roles of their own. The owner of the tables applies it after each
    `migrate`: sendsmsnow grants | psql -v ON_ERROR_STOP=1 DATABASE.
    """
    names: dict[statements.Role, str] = {
        "web": web,
        "worker": worker,
        "mail": mail,
        "operator": operator,
    }
    if len(set(names.values())) < len(names):
        raise click.UsageError("each needs a role of its own: what one may do, others may not")
    click.echo(statements.sql(names), nl=False)
