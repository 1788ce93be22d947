"""What can't be done as it was asked for: errors whose message goes to the user as it stands."""

from __future__ import annotations


class UsageError(ValueError):
    """What the user asked for can't be done; the message says what to type instead."""


class ReleaseError(UsageError):
    """Nothing can be audited; the message says what was looked for, what is there, and what to type."""


class ProfileError(UsageError):
    """The profile can't be used; the message names the file and the key."""


class WaiverError(UsageError):
    """The file of waivers can't be used; the message names the file, the entry and the key."""
