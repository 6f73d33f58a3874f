github.com/kopia/kopia@v0.22.3 .
