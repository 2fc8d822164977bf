"""Plain data: State, kinds, verdicts, explanations, and the catalogue of causes. Nothing here does I/O."""
