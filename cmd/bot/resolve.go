package main

import (
	"fmt"
	"log/slog"
	"os"

	"github.com/spf13/cobra"

	"github.com/tollgate/tollgate/internal/artifact"
	"github.com/tollgate/tollgate/internal/change"
	"github.com/tollgate/tollgate/internal/engine"
	"github.com/tollgate/tollgate/internal/fault"
	"github.com/tollgate/tollgate/internal/store"
)

// resolution is what `bot resolve` was told.
type resolution struct {
	settings
	reason, by   string
	erroredState bool
}

func resolveCommand() *cobra.Command {
	var r resolution
	cmd := &cobra.Command{
		Use:   "resolve EXECUTION applied|reconcile --reason TEXT --by NAME",
		Short: "Say how an apply ended whose end nobody knows",
		Long: `Say how an apply ended whose end nobody knows, as /resolve does in the pull request: applied, if all of it
is there, or reconcile, if it is not; then what is left is planned again and has to be approved. The server
may be running, and follows up by itself. The check of the apply names its execution.

With --errored-state it writes the state that Terraform could not save to standard output instead.`,
		Example: `  bot resolve --data-dir /var/lib/tollgate --errored-state 0f1e2d3c > errored.tfstate
  bot resolve --data-dir /var/lib/tollgate 0f1e2d3c reconcile --reason "two queues are missing" --by grace`,
		Args: cobra.RangeArgs(1, 2),
		RunE: r.run,
	}
	flags := cmd.Flags()
	flags.StringVar(&r.DataDir, "data-dir", os.Getenv(envName("data-dir")), "directory that the server keeps its database in")
	flags.StringVar(&r.Database, "database", os.Getenv(envName("database")), "the server's --database, if it has one")
	flags.StringVar(&r.Artifacts, "artifacts", os.Getenv(envName("artifacts")), "the server's --artifacts, if it has one")
	flags.StringVar(&r.ArtifactKey, "artifact-key", os.Getenv(envName("artifact-key")), "the server's --artifact-key, if it has one")
	flags.StringVar(&r.reason, "reason", "", "what you found, for whoever asks later")
	flags.StringVar(&r.by, "by", "", "your name")
	flags.BoolVar(&r.erroredState, "errored-state", false, "write the state that Terraform could not save")
	return cmd
}

func (r *resolution) run(cmd *cobra.Command, args []string) error {
	file := r.path(r.Database, "tollgate.db")
	if _, err := os.Stat(file); err != nil {
		return fault.Wrap(err, "There is no database in the data directory.", "What is to be resolved is kept in it.", "Give the server's directory with --data-dir.")
	}
	db, err := store.Open(cmd.Context(), file)
	if err != nil {
		return err
	}
	defer db.Close()
	if r.erroredState {
		return r.writeErroredState(cmd, db, args[0])
	}
	as := change.Resolution("")
	if len(args) == 2 {
		as = change.Resolution(args[1])
	}
	switch {
	case as != change.ResolvedApplied && as != change.ResolvedReconcile:
		return fault.New("It is not said how the apply ended.", "", "Write `applied` after the execution if all of it is there, or `reconcile` if it is not.")
	case r.reason == "" || r.by == "":
		return fault.New("--reason or --by is missing.", "The ledger and the check say who resolved it, and why.", "Give both.")
	}
	log := slog.New(slog.NewTextHandler(cmd.ErrOrStderr(), &slog.HandlerOptions{Level: slog.LevelWarn}))
	if err := engine.ResolveBeside(cmd.Context(), db, log, args[0], change.Resolved{As: as, By: change.User{Login: r.by}, Reason: r.reason}); err != nil {
		return err
	}
	fmt.Fprintf(cmd.OutOrStdout(), "Resolved as %s. The server reports it on the pull request within seconds, or when it is started.\n", map[change.Resolution]string{
		change.ResolvedApplied: "applied", change.ResolvedReconcile: "not applied to its end"}[as])
	return nil
}

func (r *resolution) writeErroredState(cmd *cobra.Command, db *store.DB, execution string) error {
	artifacts, err := artifact.Open(r.path(r.Artifacts, "artifacts"), r.path(r.ArtifactKey, "artifact.key"))
	if err != nil {
		return err
	}
	defer artifacts.Close()
	state, err := engine.ReadErroredState(cmd.Context(), db, artifacts, execution)
	if err != nil {
		return err
	}
	_, err = cmd.OutOrStdout().Write(state)
	return err
}
