package terraform

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/mod/sumdb/dirhash"
)

// packages remembers the hashes of provider packages.
//
// Terraform hashes every provider of a module on every command; for the AWS provider that is
// 700 MB, twice in plan and show, and a quarter of their time. This does the same check once per
// content: the hash of a package is kept for as long as no file of it has another inode, size,
// modification time or change time. The last one cannot be set by anybody but root, so a process
// of a pull request cannot exchange a provider unnoticed, not even with the rights of the server.
//
// Plans may rely on it, since a plan is only a proposal. An apply never does: Terraform then
// hashes the providers itself.
type packages struct {
	hashing keyed // so that plans that start together read a package once
	mu      sync.Mutex
	known   map[string]hashed
}

type hashed struct {
	identity string
	sum      string // h1:…, as in a lock file
}

// verified returns the directory of each provider in a data directory, by its source address. It
// returns nil unless the hash of every one of them stands in the lock file.
func (p *packages) verified(ctx context.Context, dataDir string, lock []byte) (map[string]string, error) {
	all, err := installed(dataDir)
	if err != nil {
		return nil, err
	}
	for _, dir := range all {
		sum, err := p.sum(ctx, dir)
		if err != nil {
			return nil, err
		}
		if sum == "" || !bytes.Contains(lock, []byte(`"`+sum+`"`)) {
			return nil, nil
		}
	}
	return all, nil
}

// installed returns the real package directory of each provider in a data directory.
func installed(dataDir string) (map[string]string, error) {
	found := make(map[string]string)
	matches, err := filepath.Glob(filepath.Join(dataDir, "providers", "*", "*", "*", "*", platform()))
	if err != nil {
		return nil, fmt.Errorf("list providers: %w", err)
	}
	for _, link := range matches {
		rel, err := filepath.Rel(filepath.Join(dataDir, "providers"), link)
		if err != nil {
			return nil, fmt.Errorf("list providers: %w", err)
		}
		dir, err := filepath.EvalSymlinks(link)
		if err != nil {
			return nil, fmt.Errorf("find provider package: %w", err)
		}
		part := strings.Split(filepath.ToSlash(rel), "/")
		found[strings.Join(part[:3], "/")] = dir
	}
	return found, nil
}

// sum returns the hash of a package, or nothing if the package changed while it was read.
func (p *packages) sum(ctx context.Context, dir string) (string, error) {
	done, err := p.hashing.lock(ctx, dir)
	if err != nil {
		return "", err
	}
	defer done()
	before, changed, err := identity(dir)
	if err != nil {
		return "", err
	}
	p.mu.Lock()
	k := p.known[dir]
	p.mu.Unlock()
	if k.identity == before {
		return k.sum, nil
	}
	sum, err := dirhash.HashDir(dir, "", dirhash.Hash1)
	if err != nil {
		return "", fmt.Errorf("hash provider: %w", err)
	}
	after, _, err := identity(dir)
	if err != nil || after != before {
		return "", err
	}
	// A file that changes twice within a tick of the kernel's clock may keep its change time.
	if time.Since(changed) > time.Second {
		p.mu.Lock()
		defer p.mu.Unlock()
		if p.known == nil {
			p.known = make(map[string]hashed)
		}
		p.known[dir] = hashed{identity: before, sum: sum}
	}
	return sum, nil
}

// identity describes every file of a package so that no change of a content leaves it the same,
// and says when the last change was.
func identity(dir string) (id string, changed time.Time, err error) {
	var b strings.Builder
	err = filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := os.Stat(path)
		if err != nil {
			return err
		}
		st, ok := info.Sys().(*syscall.Stat_t)
		if !ok {
			return fmt.Errorf("no inode known of %s", path)
		}
		if c := time.Unix(st.Ctim.Unix()); c.After(changed) {
			changed = c
		}
		fmt.Fprintf(&b, "%q %d %d %d %d %d %o\n", path, st.Dev, st.Ino, st.Size, st.Mtim.Nano(), st.Ctim.Nano(), st.Mode)
		return nil
	})
	if err != nil {
		return "", time.Time{}, fmt.Errorf("examine provider: %w", err)
	}
	return b.String(), changed, nil
}
