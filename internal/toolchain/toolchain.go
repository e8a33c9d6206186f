// Package toolchain finds the programs that Tollgate needs beside its own binary, and installs
// what is missing into a directory of its own.
//
// Everything it downloads is pinned, arrives under a temporary name and is renamed into place when
// it is complete, so that a crash leaves nothing half installed and two processes may do the same
// work at once.
package toolchain

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/tollgate/tollgate/internal/fault"
)

// A Part is something that Ensure can find or install.
type Part string

// The parts.
const (
	Terraform Part = "terraform" // 1.11 or newer
	Providers Part = "providers" // mirrors that hold Config.Providers
	Moto      Part = "moto"      // a Python that can run the AWS emulator
	Git       Part = "git"       // 2.38 or newer, for merge-tree
	Chromium  Part = "chromium"  // for tests of the pages
	Postgres  Part = "postgres"  // server programs; never installed
)

// Config says where to look. The zero value looks in the usual places and installs nothing.
type Config struct {
	// CacheDir is where missing parts are installed and found again. Empty: nothing is installed.
	CacheDir string
	// Terraform is the program to use, as a path or a name on PATH. It is not asked for its version.
	Terraform string
	// Python is the interpreter that runs the emulator. It is not asked what it can import.
	Python string
	// Mirrors are directories in the layout of Terraform's filesystem_mirror, tried before any other.
	Mirrors []string
	// Providers are what the mirrors must hold. Empty: every mirror of this machine is wanted.
	Providers []Provider
	// CLIConfigFile is the value of TF_CLI_CONFIG_FILE. The file need not exist.
	CLIConfigFile string
	// Home is the user's home directory, or empty.
	Home string
	// Progress receives one line per step, or is nil.
	Progress io.Writer

	sites sites    // where things are downloaded; zero outside of tests
	roots []string // where mirrors are searched; nil outside of tests
}

// Found says where the parts are that Ensure was asked for; the others are empty.
type Found struct {
	Terraform string   // absolute path
	Mirrors   []string // for Terraform's CLI configuration; empty: use the registry
	Python    string   // can import moto.server
	Git       string
	Chromium  string
	Postgres  string // the directory of initdb and postgres
}

// Ensure finds the parts, all at once, and installs what is missing if a cache directory is given.
// Its error is a *fault.Error that names everything that could not be had; what was found is
// returned beside it.
func Ensure(ctx context.Context, cfg Config, parts ...Part) (Found, error) {
	if cfg.CacheDir != "" {
		dir, err := filepath.Abs(cfg.CacheDir)
		if err != nil {
			return Found{}, fmt.Errorf("locate the cache directory: %w", err)
		}
		cfg.CacheDir = dir
	}
	s := newSearch(cfg)
	var found Found
	faults := make([]error, len(parts))
	var wg sync.WaitGroup
	for i, part := range parts {
		wg.Go(func() {
			faults[i] = s.part(ctx, part, &found)
			if faults[i] != nil {
				s.say(part, "missing: %s", fault.Public(faults[i]).What)
			}
		})
	}
	wg.Wait()
	return found, merge(faults)
}

// search is one call of Ensure.
type search struct {
	Config
	terraform func(context.Context) (string, error) // finds or installs it, once
	apt       sync.Mutex                            // apt-get runs one at a time
	saying    sync.Mutex
}

func newSearch(cfg Config) *search {
	s := &search{Config: cfg}
	var once sync.Once
	var path string
	var err error
	s.terraform = func(ctx context.Context) (string, error) {
		once.Do(func() { path, err = s.findTerraform(ctx) })
		return path, err
	}
	return s
}

// part writes only the field of found that belongs to the part: several run at once.
func (s *search) part(ctx context.Context, part Part, found *Found) (err error) {
	switch part {
	case Terraform:
		found.Terraform, err = s.terraform(ctx)
	case Providers:
		found.Mirrors, err = s.findProviders(ctx)
	case Moto:
		found.Python, err = s.findMoto(ctx)
	case Git:
		found.Git, err = s.findGit(ctx)
	case Chromium:
		found.Chromium, err = s.findChromium(ctx)
	case Postgres:
		found.Postgres, err = s.findPostgres()
	default:
		err = fmt.Errorf("unknown part %q", part)
	}
	return err
}

// installs reports whether this search may change the machine.
func (s *search) installs() bool { return s.CacheDir != "" }

func (s *search) say(part Part, format string, args ...any) {
	if s.Progress == nil {
		return
	}
	s.saying.Lock()
	defer s.saying.Unlock()
	fmt.Fprintf(s.Progress, "%-10s %s\n", part, fmt.Sprintf(format, args...))
}

// took is how long something lasted, as people say it.
func took(since time.Time) string {
	return time.Since(since).Round(100 * time.Millisecond).String()
}

// merge makes one error of many, public text included.
func merge(errs []error) error {
	var all []error
	var what, why, fix []string
	for _, err := range errs {
		if err == nil {
			continue
		}
		public := fault.Public(err)
		all = append(all, err)
		what, why, fix = append(what, public.What), append(why, public.Why), append(fix, public.Fix)
	}
	switch len(all) {
	case 0:
		return nil
	case 1:
		return all[0]
	}
	return fault.Wrap(errors.Join(all...), strings.Join(what, " "), strings.Join(why, " "), strings.Join(fix, " "))
}

// place runs build on an empty temporary directory beside target and renames it to target when
// build succeeds. If another process was faster, its result stays.
func place(target string, build func(dir string) error) error {
	if err := os.MkdirAll(filepath.Dir(target), 0o755); err != nil {
		return fmt.Errorf("make the cache directory: %w", err)
	}
	dir, err := os.MkdirTemp(filepath.Dir(target), ".incomplete-")
	if err != nil {
		return fmt.Errorf("make a temporary directory: %w", err)
	}
	defer os.RemoveAll(dir)
	if err := os.Chmod(dir, 0o755); err != nil {
		return err
	}
	if err := build(dir); err != nil {
		return err
	}
	err = os.Rename(dir, target)
	if _, missing := os.Stat(target); err != nil && missing == nil {
		return nil
	}
	return err
}
