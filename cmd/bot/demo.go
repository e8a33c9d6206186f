package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/tollgate/tollgate/infrastructure"
	"github.com/tollgate/tollgate/internal/confine"
	"github.com/tollgate/tollgate/internal/fault"
	"github.com/tollgate/tollgate/internal/sandbox"
	"github.com/tollgate/tollgate/internal/toolchain"
)

func demoCommand() *cobra.Command {
	d := demo{}
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Run the whole product on this machine, with a stand-in for GitHub and an AWS emulator",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			d.out = cmd.OutOrStdout()
			return d.run(cmd.Context())
		},
	}
	cmd.Flags().StringVar(&d.dataDir, "data-dir", "", "where everything is kept (default: a temporary directory, removed at the end)")
	cmd.Flags().StringVar(&d.tools, "tools-dir", "", "where missing programs are installed (default: the user's cache directory)")
	cmd.Flags().StringVar(&d.listen, "listen", "127.0.0.1:8470", "address of the pages to click on")
	cmd.Flags().BoolVar(&d.script, "script", false, "play the main story to its end without anyone clicking")
	cmd.Flags().BoolVar(&d.crash, "crash", false, "with --script: kill the server in the middle of the apply and start it again")
	return cmd
}

// demo is the product in a box.
type demo struct {
	dataDir, tools, listen string
	script, crash          bool
	out                    io.Writer
}

func (d *demo) run(ctx context.Context) (err error) {
	if d.crash && !d.script {
		return fault.New("--crash goes with --script.", "It is a part of the story that the script plays.", "Run: bot demo --script --crash")
	}
	begun := time.Now()
	dir, remove, err := d.dir()
	if err != nil {
		return err
	}
	defer remove()
	found, err := d.parts(ctx)
	if err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find this program: %w", err)
	}
	log := slog.New(slog.NewTextHandler(io.Discard, nil))
	listen := d.listen
	if d.script {
		listen = "127.0.0.1:0"
	}
	w, err := sandbox.Start(ctx, sandbox.Config{Dir: dir, Bot: self, Terraform: found.Terraform, Python: found.Python, Mirrors: found.Mirrors,
		Environ: os.Environ(), Listen: listen, Logger: log, Args: d.walls(ctx, self)})
	if err != nil {
		return fmt.Errorf("start the demo: %w", err)
	}
	defer func() { err = errors.Join(err, w.Close()) }()
	fmt.Fprintf(d.out, "Up after %.1f s: a stand-in for GitHub at %s, Tollgate at %s, an AWS emulator at %s.\n",
		time.Since(begun).Seconds(), w.GitHub.URL(), w.Bot.URL, w.Emulator.URL)
	if d.script {
		return d.tell(ctx, w)
	}
	return d.play(ctx, w)
}

// walls are the flags for the server's sandbox. The demo runs nobody's code but its own, so it goes
// on where the machine cannot make one, and says so.
func (d *demo) walls(ctx context.Context, self string) []string {
	err := confine.Check(ctx, self)
	if err == nil {
		return nil
	}
	fmt.Fprintf(d.out, `This machine cannot confine what a plan runs, so the demo goes on without a sandbox.
  A server would not start here unless it is told to, with --sandbox=off. What would help:
  %s
  Cause: %v
`, strings.Join(confine.Remedies(), "\n  "), err)
	return []string{"--sandbox=off"}
}

// dir is an empty directory for the demo, and what removes it if nobody asked to keep it.
func (d *demo) dir() (string, func(), error) {
	if d.dataDir == "" {
		dir, err := os.MkdirTemp("", "tollgate-demo-")
		return dir, func() { _ = os.RemoveAll(dir) }, err
	}
	dir, err := filepath.Abs(d.dataDir)
	if err != nil {
		return "", nil, err
	}
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", nil, err
	}
	if len(entries) > 0 {
		return "", nil, fault.New("The data directory is not empty: "+dir+".", "Each demo begins anew, and nothing of yours is to be lost.", "Remove it, or name another with --data-dir.")
	}
	return dir, func() {}, nil
}

// parts finds what the demo needs, and installs what is missing.
func (d *demo) parts(ctx context.Context) (toolchain.Found, error) {
	tools := d.tools
	if tools == "" {
		cache, err := os.UserCacheDir()
		if err != nil {
			return toolchain.Found{}, err
		}
		tools = filepath.Join(cache, "tollgate")
	}
	lock, err := infrastructure.Files.ReadFile(".terraform.lock.hcl")
	if err != nil {
		return toolchain.Found{}, err
	}
	return toolchain.Ensure(ctx, toolchain.Config{CacheDir: tools, Providers: toolchain.ProvidersInLock(lock),
		CLIConfigFile: os.Getenv("TF_CLI_CONFIG_FILE"), Home: os.Getenv("HOME"), Progress: d.out},
		toolchain.Terraform, toolchain.Providers, toolchain.Moto, toolchain.Git)
}

// tell plays the story. Its error is the demo's exit status.
func (d *demo) tell(ctx context.Context, w *sandbox.World) error {
	if err := sandbox.Tell(w, d.out).Story(ctx, d.crash); err != nil {
		fmt.Fprintf(d.out, "\nThe story ended early: %v\nThe server's log ends with:\n%s\n", err, end(w.Bot.Log, 4000))
		return exitStatus(1)
	}
	fmt.Fprintln(d.out, "\nEvery step held.")
	return nil
}

// play opens two pull requests and waits until the person has seen enough.
func (d *demo) play(ctx context.Context, w *sandbox.World) error {
	good, err := w.ProposeScaling("season", 30, 40)
	if err != nil {
		return err
	}
	bad, err := w.ProposeBreaks()
	if err != nil {
		return err
	}
	fmt.Fprintf(d.out, `
Ready to click on:

  %s   a compliant change: approve it as %s, then merge it or comment /apply
  %s   breaks all four policies: look at the checks and at the annotations in the diff

Tollgate's own pages, behind "Details", ask you to sign in: one click on the stand-in.
The first plans take some seconds; the pages follow by themselves. Nothing is applied yet, so a plan
creates everything, and the first apply takes a minute and a half. Ctrl-C ends the demo.
`, good.Info().URL, sandbox.Reviewer, bad.Info().URL)
	<-ctx.Done()
	fmt.Fprintln(d.out, "\nStopping.")
	return nil
}

// end is the last part of a file.
func end(file string, n int64) string {
	b, err := os.ReadFile(file)
	if err != nil {
		return err.Error()
	}
	return string(b[max(0, int64(len(b))-n):])
}
