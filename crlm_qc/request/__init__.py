"""What was asked for, from options, environment and configuration files: the same for command line, pytest and notebook."""
