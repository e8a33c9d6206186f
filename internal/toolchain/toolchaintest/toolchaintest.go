// Package toolchaintest gives tests the programs that they need beside the code: what `make test`
// has set up, or else what this machine has. A test that lacks one fails and says which.
//
// The variables, all optional: TOLLGATE_TEST_TERRAFORM, TOLLGATE_TEST_PYTHON (with the AWS
// emulator), TOLLGATE_TEST_CHROMIUM, TOLLGATE_TEST_POSTGRES (the directory of initdb) and
// TOLLGATE_TEST_PROVIDER_MIRRORS (directories, separated as in PATH).
package toolchaintest

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/tollgate/tollgate/internal/fault"
	"github.com/tollgate/tollgate/internal/toolchain"
)

// Terraform returns the path of a Terraform program.
func Terraform(tb testing.TB) string {
	tb.Helper()
	return from(tb, "TOLLGATE_TEST_TERRAFORM", toolchain.Terraform, func(f toolchain.Found) string { return f.Terraform })
}

// Python returns an interpreter that can run the AWS emulator.
func Python(tb testing.TB) string {
	tb.Helper()
	return from(tb, "TOLLGATE_TEST_PYTHON", toolchain.Moto, func(f toolchain.Found) string { return f.Python })
}

// Chromium returns a browser for tests of pages.
func Chromium(tb testing.TB) string {
	tb.Helper()
	return from(tb, "TOLLGATE_TEST_CHROMIUM", toolchain.Chromium, func(f toolchain.Found) string { return f.Chromium })
}

// Postgres returns the directory of PostgreSQL's server programs.
func Postgres(tb testing.TB) string {
	tb.Helper()
	return from(tb, "TOLLGATE_TEST_POSTGRES", toolchain.Postgres, func(f toolchain.Found) string { return f.Postgres })
}

// Mirrors returns the machine's provider mirrors. The list is empty on a machine that asks the
// registry itself.
func Mirrors(tb testing.TB) []string {
	tb.Helper()
	if list := os.Getenv("TOLLGATE_TEST_PROVIDER_MIRRORS"); list != "" {
		return filepath.SplitList(list)
	}
	return find(tb, toolchain.Providers).Mirrors
}

// CLIConfig writes a Terraform CLI configuration that uses the mirrors, and returns its path.
func CLIConfig(tb testing.TB) string {
	tb.Helper()
	file := filepath.Join(tb.TempDir(), "terraform.tfrc")
	if err := os.WriteFile(file, []byte(toolchain.CLIConfig(Mirrors(tb))), 0o644); err != nil {
		tb.Fatal(err)
	}
	return file
}

func from(tb testing.TB, variable string, part toolchain.Part, pick func(toolchain.Found) string) string {
	tb.Helper()
	if value := os.Getenv(variable); value != "" {
		return value
	}
	return pick(find(tb, part))
}

func find(tb testing.TB, part toolchain.Part) toolchain.Found {
	tb.Helper()
	found, err := toolchain.Ensure(tb.Context(), toolchain.Config{
		CLIConfigFile: os.Getenv("TF_CLI_CONFIG_FILE"),
		Home:          os.Getenv("HOME"),
	}, part)
	if err != nil {
		tb.Fatalf("%s\n`make test` sets up what tests need.", fault.Public(err).Text())
	}
	return found
}
