"""The plan accounted for: why, how firm, how fair, at what price."""
