"""What we claim about speed and accuracy, as commands anyone can run again."""
