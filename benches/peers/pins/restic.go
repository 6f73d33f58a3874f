github.com/restic/restic@v0.18.1 ./cmd/restic
