"""Evidence on two revisions and the verdicts that follow from it. Pure."""
