"""The budgets, measured as ratios side by side; `python -m tests.bench` prints the table."""
