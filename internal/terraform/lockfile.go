package terraform

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"regexp"
)

const lockFile = ".terraform.lock.hcl"

// locked is one provider of a lock file.
type locked struct {
	Provider string // host/namespace/type
	Version  string
}

var (
	lockProvider = regexp.MustCompile(`^provider "([a-z0-9.:\-]+/[a-z0-9_\-]+/[a-z0-9_\-]+)" \{`)
	lockVersion  = regexp.MustCompile(`^  version\s*=\s*"([0-9A-Za-z.+\-]+)"`)
)

// parseLock reads the providers of a lock file in the form in which Terraform writes it. What it
// does not recognise it leaves out: the answer only chooses where providers are looked for, and
// Terraform itself checks what it finds there.
func parseLock(data []byte) []locked {
	var found []locked
	provider := ""
	for s := bufio.NewScanner(bytes.NewReader(data)); s.Scan(); {
		if m := lockProvider.FindStringSubmatch(s.Text()); m != nil {
			provider = m[1]
		}
		if m := lockVersion.FindStringSubmatch(s.Text()); m != nil && provider != "" {
			found = append(found, locked{Provider: provider, Version: m[1]})
			provider = ""
		}
	}
	return found
}

// readLock returns the lock file of a module's directory, or nil if it has none.
func readLock(dir *os.Root) ([]byte, error) {
	data, err := dir.ReadFile(lockFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read lock file: %w", err)
	}
	return data, nil
}
