"""What is computed: NBA player context, and the made-up league that shows it."""
