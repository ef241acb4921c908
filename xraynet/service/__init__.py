"""What runs for long and speaks with others: a node beside the PACS, the review page."""
