"""Live with the neighbours: logs of Inspect AI and lm-evaluation-harness as runs, tasks and models for Inspect, model cards, MLflow."""
