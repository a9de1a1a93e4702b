"""What people set: city.yaml, policy.yaml, scenarios, evidence, and the field dictionary."""
