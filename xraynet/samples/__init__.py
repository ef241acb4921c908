"""From a catalogue to what the detector learns from: prepared films kept on disk, drawn nodules, augmentation, batches.

Nothing is imported here: the workers that decode films must not pay for torch.
"""
