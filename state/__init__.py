"""Plain files: append, replace, lock; the ledger; where a run keeps what."""
