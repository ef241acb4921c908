"""Training: a plain PyTorch loop that resumes exactly, stops early, and writes its best checkpoint at once."""
