//go:build !linux

package workspace

import (
	"fmt"
	"os"
)

// secretFile holds a secret that a child process may open as often as it likes, as childPath.
// Without memory files it is a private file that lives as long as the fetch.
func secretFile(dir, content string) (*os.File, func(), error) {
	file, err := os.CreateTemp(dir, ".git-config-*") // created with mode 0600
	if err != nil {
		return nil, nil, fmt.Errorf("create a private file: %w", err)
	}
	done := func() { _ = file.Close(); _ = os.Remove(file.Name()) }
	if _, err := file.WriteString(content); err != nil {
		done()
		return nil, nil, fmt.Errorf("write a private file: %w", err)
	}
	return file, done, nil
}

func childPath(file *os.File) string { return file.Name() }

// limitFileSize has no equal here; the fetch's deadline remains.
func limitFileSize(int, int64) {}
