"""Keeps the entries of the ledger in one append-only text file."""

import os


class Store:
    """Appends entries and sums them per account."""

    def __init__(self, path):
        self.path = path
        self.balances = {}
        if os.path.exists(path):
            with open(path, encoding="utf-8") as journal:
                for line in journal:
                    account, amount = line.split()
                    self._add(account, float(amount))

    def _add(self, account, amount):
        self.balances[account] = self.balances.get(account, 0.0) + amount

    def enter(self, account, amount):
        """Writes one entry and returns the new balance."""
        with open(self.path, "a", encoding="utf-8") as journal:
            journal.write(f"{account} {amount}\n")
        self._add(account, float(amount))
        return self.balances[account]
