"""`python -m crlm_qc`."""

from crlm_qc.cli import main

if __name__ == "__main__":
    main()
