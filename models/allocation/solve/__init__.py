"""From a problem to the best plan and its certificate, or to a named conflict."""
