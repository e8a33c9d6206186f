package main

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/tollgate/tollgate/internal/confine"
)

// confinedCommand is what makes a room for code of pull requests; people have no use for it.
func confinedCommand() *cobra.Command {
	return &cobra.Command{
		Use:       "confined",
		Hidden:    true,
		Args:      cobra.MatchAll(cobra.ExactArgs(1), cobra.OnlyValidArgs),
		ValidArgs: []string{"inside", "supervisor", "hello"},
		RunE: func(_ *cobra.Command, args []string) error {
			code := 0
			switch args[0] {
			case "inside":
				code = confine.Inside()
			case "supervisor":
				self, err := os.Executable()
				if err != nil {
					return fmt.Errorf("find this program: %w", err)
				}
				code = confine.Supervise(self)
			}
			if code != 0 {
				return exitStatus(code)
			}
			return nil
		},
	}
}
