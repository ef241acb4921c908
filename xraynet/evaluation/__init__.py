"""Evaluation: (annotations, detections) in, numbers out. Any detector's output can be scored; no network is ever seen here."""
