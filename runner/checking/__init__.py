"""What `vagent validate` does around the checker: files, rules, reports."""
