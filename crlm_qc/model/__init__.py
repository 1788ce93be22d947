"""What everything else speaks of: findings, rules, outcomes, reports, the contracts of the tables. Imports nothing of ours."""
