"""Moving a live event history from one version of an application to the next, with proof."""
