"""Lung fields and gate: where the lungs are, which zone a finding lies in, and whether a film is a frontal chest radiograph."""
