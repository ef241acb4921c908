"""A node beside the PACS: films in by C-STORE, results out by C-STORE, nothing lost in between.

``film_queue`` says what is on disk and why each acknowledged film ends up in the archive exactly once; ``reception`` answers
the peers, ``analysis`` reads films, ``delivery`` sends results, ``upkeep`` removes what is no longer needed, ``health``
tells how it all goes, and ``run`` puts them together. ``conformance`` writes the DICOM conformance statement.
"""
