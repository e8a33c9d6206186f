package main

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/tollgate/tollgate/internal/judge"
)

// judgeCommand is what the server and the check start to evaluate policies; people have no use for it.
func judgeCommand() *cobra.Command {
	return &cobra.Command{
		Use:    "judge",
		Hidden: true,
		Args:   cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			if code := judge.Main(); code != 0 {
				return exitStatus(code)
			}
			return nil
		},
	}
}

// newJudge evaluates policies in processes of this program, within the limits of cfg.
func newJudge(cfg judge.Config) (*judge.Judge, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find this program: %w", err)
	}
	cfg.Command = []string{self, "judge"}
	return judge.New(cfg)
}
