"""`python -m crlm_qc`."""

from crlm_qc.cli.app import main

if __name__ == "__main__":
    main()
