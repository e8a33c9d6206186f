package main

import (
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/tollgate/tollgate/internal/runner"
)

// runnerCommand is what the server starts for an apply; people have no use for it.
func runnerCommand() *cobra.Command {
	return &cobra.Command{
		Use:    "runner DIR",
		Hidden: true,
		Args:   cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			// The runner's directory is executions/ID/run in the data directory.
			at := failpoint[runner.Point](filepath.Join(args[0], "..", "..", ".."))
			if code := runner.Main(args[0], at); code != 0 {
				return exitStatus(code)
			}
			return nil
		},
	}
}
