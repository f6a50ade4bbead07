"""Times and memory, measured side by side; a table for people and JSON for machines."""
