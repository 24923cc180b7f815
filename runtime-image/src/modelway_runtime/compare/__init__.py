"""The comparator: asks two revisions the same mirrored request and counts where their answers disagree."""
