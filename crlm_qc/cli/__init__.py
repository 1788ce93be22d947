"""The command line: a module a command. Each parses, calls, writes, exits; nothing imports it."""

from crlm_qc.cli.app import main as main

__all__ = ["main"]
