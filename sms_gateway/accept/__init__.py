"""Between a face and the queue: who sends, by which rules, and the commit that accepts."""
