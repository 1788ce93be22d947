"""Renderers of a report, one module a format. They open no dataset file and know no rule."""
