"""What the law asks of the whole house: where a person's data are held."""
