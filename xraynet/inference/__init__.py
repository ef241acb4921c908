"""A Radiograph in, a Reading out: gate, lungs, detector and score map in one place."""
