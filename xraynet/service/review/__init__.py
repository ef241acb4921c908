"""The review page: radiologists read films, say yes and no to the detector, and mark what it missed."""
