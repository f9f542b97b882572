"""Tasks: what is asked, and how an answer is graded."""

from trueline.tasks.graders import grade_all, load_grader
from trueline.tasks.item import Grade, Grader, Item, Task
from trueline.tasks.loading import load_task
from trueline.tasks.normalise import normalise

__all__ = ["Grade", "Grader", "Item", "Task", "grade_all", "load_grader", "load_task", "normalise"]
