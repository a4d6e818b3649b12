"""What the law asks. Plain Python and YAML: facts in, duties out, each with its reasons and references. No Django."""
