"""Statistics cost the same number of reads, however many accounts there are."""

from collections import Counter
from pathlib import Path
from typing import ClassVar

import pytest
from engine_stage import Played, stage

from reelhook.domain.account_status import AccountStatus
from reelhook.domain.catalog import Account
from reelhook.ports import AccountLoad, AccountRecord
from reelhook.storage.store import Store


class Counting(Store):
    """Counts the reads of accounts."""

    reads: ClassVar[Counter[str]] = Counter()

    async def account_status(self, account: str) -> AccountStatus:
        self.reads["account_status"] += 1
        return await super().account_status(account)

    async def account_records(self) -> dict[str, AccountRecord]:
        self.reads["account_records"] += 1
        return await super().account_records()

    async def account_loads(self) -> dict[str, AccountLoad]:
        self.reads["account_loads"] += 1
        return await super().account_loads()


@pytest.mark.parametrize("accounts", [1, 5])
async def test_one_read_is_of_all_accounts(tmp_path: Path, accounts: int) -> None:
    played = tuple(Played(Account(f"account{number}", "openai")) for number in range(accounts))
    async with (
        stage(tmp_path, accounts=played, store=Counting, loops=frozenset()) as here,
        here.engine() as engine,
    ):
        for number in range(accounts):
            await engine.store.record_round(f"account{number}", 1000 + number)
        await engine.store.save_account_status("account0", AccountStatus("No such key"), None)
        Counting.reads.clear()
        stats = await engine.operations.stats()
        assert Counting.reads == {"account_records": 1, "account_loads": 1}
        assert len(stats["accounts"]) == accounts
        assert stats["watcher"]["last_round_at"] == 1000 + accounts - 1
        assert [one["error"] for one in stats["accounts"]] == [
            "No such key" if number == 0 else None for number in range(accounts)
        ]
