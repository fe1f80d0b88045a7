"""Keeps the entries of the ledger in one append-only text file, each with its day."""

import datetime
import os
from decimal import Decimal


class Store:
    """Appends entries and sums them per account."""

    def __init__(self, path):
        self.path = path
        self.balances = {}
        if os.path.exists(path):
            with open(path, encoding="utf-8") as journal:
                for line in journal:
                    _day, account, amount = line.split()
                    self._add(account, Decimal(amount))

    def _add(self, account, amount):
        self.balances[account] = self.balances.get(account, Decimal(0)) + amount

    def enter(self, account, amount):
        """Writes one entry and returns the new balance."""
        with open(self.path, "a", encoding="utf-8") as journal:
            journal.write(f"{datetime.date.today()} {account} {amount}\n")
        self._add(account, Decimal(amount))
        return float(self.balances[account])

    def all(self):
        """Returns every balance as plain numbers."""
        return {account: float(sum) for account, sum in self.balances.items()}
