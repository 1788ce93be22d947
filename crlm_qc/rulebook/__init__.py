"""What a rule is, what it may look at, and how rules are found. No rule stands here."""
