"""What made real data fail, and what prevents it: constraint x cameras x data on virtual animals with truth."""
