// Command setup prepares a clone for `make demo` and `make test`: it ensures the parts that are
// named on its command line and writes down where they are, for the shell and for Terraform.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"

	"github.com/tollgate/tollgate/internal/fault"
	"github.com/tollgate/tollgate/internal/toolchain"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		var public *fault.Error
		if errors.As(err, &public) {
			fmt.Fprintln(os.Stderr, public.Text())
		}
		fmt.Fprintf(os.Stderr, "setup: %v\n", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	cfg := toolchain.Config{Progress: os.Stdout}
	flags := flag.NewFlagSet("setup", flag.ContinueOnError)
	flags.StringVar(&cfg.CacheDir, "cache", "", "`directory` for what is installed (required)")
	flags.StringVar(&cfg.CLIConfigFile, "cli-config", "", "Terraform CLI configuration `file` of the user, which need not exist")
	flags.StringVar(&cfg.Home, "home", "", "the user's home `directory`")
	lock := flags.String("lock", "", "dependency lock `file` of the Terraform configuration")
	env := flags.String("env", "", "`file` to write as shell assignments")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if cfg.CacheDir == "" || flags.NArg() == 0 {
		return errors.New("usage: setup -cache DIR [flags] PART…")
	}
	if *lock != "" {
		text, err := os.ReadFile(*lock)
		if err != nil {
			return err
		}
		cfg.Providers = toolchain.ProvidersInLock(text)
	}
	parts := make([]toolchain.Part, flags.NArg())
	for i, name := range flags.Args() {
		parts[i] = toolchain.Part(name)
	}
	found, err := toolchain.Ensure(ctx, cfg, parts...)
	if *env != "" {
		// Also with a part missing: a test that needs it then fails by itself, and the others run.
		err = errors.Join(err, writeEnv(*env, found))
	}
	return err
}

// writeEnv writes the variables that tests read (see package toolchaintest), and the CLI
// configuration that makes any Terraform use the mirrors.
func writeEnv(file string, found toolchain.Found) error {
	file, err := filepath.Abs(file)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return err
	}
	config := filepath.Join(filepath.Dir(file), "terraform.tfrc")
	if err := os.WriteFile(config, []byte(toolchain.CLIConfig(found.Mirrors)), 0o644); err != nil {
		return err
	}
	var b strings.Builder
	for _, v := range [][2]string{
		{"TOLLGATE_TEST_TERRAFORM", found.Terraform},
		{"TOLLGATE_TEST_PROVIDER_MIRRORS", strings.Join(found.Mirrors, string(os.PathListSeparator))},
		{"TOLLGATE_TEST_PYTHON", found.Python},
		{"TOLLGATE_TEST_CHROMIUM", found.Chromium},
		{"TOLLGATE_TEST_POSTGRES", found.Postgres},
		{"TF_CLI_CONFIG_FILE", config},
	} {
		if v[1] != "" {
			fmt.Fprintf(&b, "export %s='%s'\n", v[0], strings.ReplaceAll(v[1], "'", `'\''`))
		}
	}
	return os.WriteFile(file, []byte(b.String()), 0o644)
}
