"""What a letter is: blocks, merge fields, the compiled letter and the press that prints it."""
