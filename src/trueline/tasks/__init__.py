"""Tasks: what is asked, and how an answer is graded."""

from trueline.tasks.item import Grade, Grader, Item, Task

__all__ = ["Grade", "Grader", "Item", "Task"]
