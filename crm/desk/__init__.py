"""Pages that look across features: today, the contact list and card."""
