package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/tollgate/tollgate/internal/audit"
	"github.com/tollgate/tollgate/internal/fault"
	"github.com/tollgate/tollgate/internal/store"
)

func auditCommand() *cobra.Command {
	var dataDir string
	cmd := &cobra.Command{Use: "audit", Short: "Check and export the ledger of decisions"}
	cmd.PersistentFlags().StringVar(&dataDir, "data-dir", os.Getenv(envName("data-dir")), "directory that the server keeps its database in")
	open := func(c *cobra.Command) (*store.DB, error) {
		file := filepath.Join(dataDir, "tollgate.db")
		if _, err := os.Stat(file); err != nil {
			return nil, fault.Wrap(err, "There is no database in the data directory.", "The ledger is kept in it.", "Give the server's directory with --data-dir.")
		}
		return store.Open(c.Context(), file)
	}
	cmd.AddCommand(&cobra.Command{Use: "verify", Short: "Check that no row was changed, removed or put between", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			db, err := open(c)
			if err != nil {
				return err
			}
			defer db.Close()
			n, err := store.Read(c.Context(), db, func(tx *store.Tx) (int64, error) { return audit.Verify(c.Context(), tx) })
			if err != nil {
				fmt.Fprintf(c.OutOrStdout(), "The ledger does not hold: %v.\n", err)
				return exitStatus(1)
			}
			fmt.Fprintf(c.OutOrStdout(), "The ledger holds: %d rows, each continuing the one before.\n", n)
			return nil
		}})
	cmd.AddCommand(&cobra.Command{Use: "export", Short: "Write the ledger as lines of JSON", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			db, err := open(c)
			if err != nil {
				return err
			}
			defer db.Close()
			out := bufio.NewWriter(c.OutOrStdout())
			enc := json.NewEncoder(out)
			_, err = store.Read(c.Context(), db, func(tx *store.Tx) (struct{}, error) {
				return struct{}{}, audit.Each(c.Context(), tx, func(r audit.Row) error { return enc.Encode(r) })
			})
			if err != nil {
				return err
			}
			return out.Flush()
		}})
	return cmd
}
