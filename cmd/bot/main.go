// Command bot is Tollgate: a GitHub App that plans Terraform for every pull request, judges the
// plan with Rego and applies exactly what was approved.
//
// This package wires the rooms under internal/ together. It is the only place that reads flags
// and the environment.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/tollgate/tollgate/internal/fault"
)

// exitStatus is an error that only carries the status to exit with; what there is to say was said.
type exitStatus int

func (e exitStatus) Error() string { return fmt.Sprintf("exit status %d", int(e)) }

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, os.Args[1:]))
}

func run(ctx context.Context, args []string) int {
	root := &cobra.Command{
		Use:           "bot",
		Short:         "Tollgate plans, judges and applies Terraform for pull requests",
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.AddCommand(serveCommand(), checkCommand(), demoCommand(), doctorCommand(), auditCommand(), resolveCommand(), runnerCommand(), judgeCommand(), confinedCommand())
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	var status exitStatus
	switch {
	case err == nil:
		return 0
	case errors.As(err, &status):
		return int(status)
	}
	printError(err)
	return 2
}

// printError prints every fault with what is wrong, why it matters and what to do.
func printError(err error) {
	var joined interface{ Unwrap() []error }
	if errors.As(err, &joined) {
		for _, e := range joined.Unwrap() {
			printError(e)
		}
		return
	}
	var f *fault.Error
	if !errors.As(err, &f) {
		fmt.Fprintln(os.Stderr, "Error:", err)
		return
	}
	fmt.Fprintln(os.Stderr, "Error:", f.What)
	for _, s := range []string{f.Why, f.Fix} {
		if s != "" {
			fmt.Fprintln(os.Stderr, "  "+strings.ReplaceAll(s, "\n", "\n  "))
		}
	}
	if f.Err != nil {
		fmt.Fprintln(os.Stderr, "  Cause:", f.Err)
	}
}
