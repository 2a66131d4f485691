"""What the distribution brings to headrace."""
