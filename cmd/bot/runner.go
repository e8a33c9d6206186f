package main

import (
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
			if code := runner.Main(args[0]); code != 0 {
				return exitStatus(code)
			}
			return nil
		},
	}
}
