"""Adapters for Pandera and Great Expectations; they hold no rules of their own."""
