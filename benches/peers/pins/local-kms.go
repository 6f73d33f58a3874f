github.com/nsmithuk/local-kms@v0.0.0-20260228092603-2a5e92d09ab6 .
