"""How far each candidate is trained: one file a scheduler, pure functions of a stage's learning curves."""
