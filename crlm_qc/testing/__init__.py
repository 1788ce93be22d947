"""The audit as tests: pytest items, and an assertion for notebooks."""
