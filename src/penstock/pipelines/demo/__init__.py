"""The demo: one support-ticket triage story, from raw mail to a model improved by its reviewers."""
