"""A class: one cluster that many learners share, and what each of them gets to reach their part of it."""
