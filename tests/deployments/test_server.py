"""Nothing is turned away for another writer of SQLite: what deployments/server.py changes, and that it is needed."""

import asyncio
from pathlib import Path

import pytest
from prefect.server.database import provide_database_interface
from prefect.server.database.configurations import AioSqliteConfiguration
from prefect.server.database.dependencies import temporary_database_config
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from deployments.server import OneWriter


def counted_by_two(kind: type[AioSqliteConfiguration], folder: Path) -> int:
    """Two that read a number at the same time, and then write the next one."""

    async def count() -> None:
        async with provide_database_interface().session_context(begin_transaction=True) as session:
            await session.execute(text("SELECT n FROM t"))
            await asyncio.sleep(0.2)
            await session.execute(text("UPDATE t SET n = n + 1"))

    async def both() -> int:
        database = provide_database_interface()
        async with database.session_context(begin_transaction=True) as session:
            await session.execute(text("CREATE TABLE t (n)"))
            await session.execute(text("INSERT INTO t VALUES (0)"))
        await asyncio.gather(count(), count())
        async with database.session_context() as session:
            return int((await session.execute(text("SELECT n FROM t"))).scalar_one())

    with temporary_database_config(kind(f"sqlite+aiosqlite:///{folder / 'prefect.db'}")):
        return asyncio.run(both())


def test_both_write_one_after_the_other(tmp_path: Path) -> None:
    assert counted_by_two(OneWriter, tmp_path) == 2


def test_prefects_own_would_turn_one_away(tmp_path: Path) -> None:
    """Where this fails, Prefect has mended it, and `OneWriter` can go."""
    with pytest.raises(OperationalError, match="database is locked"):
        counted_by_two(AioSqliteConfiguration, tmp_path)
