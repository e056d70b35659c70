"""What each command of aar.py does: parse, call, print. A module a kind of work; nothing else lives here."""
