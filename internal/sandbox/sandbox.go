// Package sandbox is a small company in a box: a stand-in for GitHub with people and the payment
// infrastructure as their repository, an AWS emulator, and a real server in a process of its own.
// `bot demo` and the end-to-end tests play in it.
package sandbox

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/tollgate/tollgate/infrastructure"
	"github.com/tollgate/tollgate/internal/ghsim"
)

// The people of the sandbox. Both may write; the author of a change may not approve it.
const (
	Author   = "ada"
	Reviewer = "grace"
)

// Project is the project of the sandbox's repository, and Dir its folder.
const (
	Project = "payments"
	Dir     = "infrastructure"
)

const config = `# yaml-language-server: $schema=https://github.com/tollgate/tollgate/raw/main/internal/project/schema.json
version: 1
projects:
  - name: payments
    dir: infrastructure
    environment: production
apply:
  on: [merge, comment]
  approvals: 1
`

const readme = `# Payments

The payment infrastructure of ACME. Changes go through pull requests: Tollgate plans, judges and applies them.
`

// Config says what the sandbox is made of. Dir, Bot and Terraform are required.
type Config struct {
	Dir             string   // everything is kept below it; must be empty or absent
	Bot             string   // the program under demonstration
	Terraform       string   // path of the program
	Python          string   // an interpreter that can import moto; empty: there is no emulator
	Mirrors         []string // provider mirrors; empty: the server looks for itself
	Environ         []string // the environment that processes start from
	Listen          string   // address of the stand-in's pages; any free port by default
	Args            []string // further flags for the server
	Files           fs.FS    // the repository; by default the payment infrastructure under infrastructure/
	Logger          *slog.Logger
	Observe         func(ghsim.Exchange)
	ObserveDelivery func(ghsim.Delivery)
}

// World is a running sandbox. Close ends everything that it started.
type World struct {
	GitHub   *ghsim.Server
	App      ghsim.App
	Repo     *ghsim.Repo
	Emulator *Emulator
	Bot      *Bot
	cfg      Config
}

// Start brings everything up, side by side.
func Start(ctx context.Context, cfg Config) (w *World, err error) {
	if err := os.MkdirAll(cfg.Dir, 0o700); err != nil {
		return nil, err
	}
	w = &World{cfg: cfg}
	defer func() {
		if err != nil {
			err = errors.Join(err, w.Close())
		}
	}()
	environ := append(clean(cfg.Environ), "ENVIRONMENT_SUFFIX=demo", "AWS_REGION=us-east-1", "AWS_DEFAULT_REGION=us-east-1",
		"TERRAFORM_STATE_BUCKET=payments-terraform-state", "TERRAFORM_STATE_BUCKET_REGION=us-east-1",
		"AWS_ACCESS_KEY_ID=emulator", "AWS_SECRET_ACCESS_KEY=any-will-do-here")
	g, gctx := errgroup.WithContext(ctx)
	if cfg.Python != "" {
		g.Go(func() (err error) { w.Emulator, err = w.emulator(gctx, environ); return err })
	}
	g.Go(func() error { return w.company() })
	if err := g.Wait(); err != nil {
		return w, err
	}
	w.Bot.Environ = environ
	if w.Emulator != nil {
		w.Bot.Environ = append(environ, "AWS_ENDPOINT_URL="+w.Emulator.URL)
	}
	return w, w.Bot.Start(ctx)
}

// clean drops what would make Terraform or the server behave otherwise than on a fresh machine.
func clean(environ []string) []string {
	var out []string
	for _, kv := range environ {
		name, _, _ := strings.Cut(kv, "=")
		if strings.HasPrefix(name, "AWS_") || strings.HasPrefix(name, "TF_") || strings.HasPrefix(name, "TOLLGATE_") {
			continue
		}
		out = append(out, kv)
	}
	return out
}

func (w *World) emulator(ctx context.Context, environ []string) (*Emulator, error) {
	launcher := filepath.Join(w.cfg.Dir, "serve.py")
	b, err := infrastructure.Files.ReadFile("emulator/serve.py")
	if err != nil {
		return nil, err
	}
	if err := os.WriteFile(launcher, b, 0o600); err != nil {
		return nil, err
	}
	return startEmulator(ctx, w.cfg.Python, launcher, w.cfg.Dir, environ)
}

// company makes the stand-in, the people, the App and the repository, and prepares the server.
func (w *World) company() error {
	var err error
	w.GitHub, err = ghsim.New(ghsim.Config{Dir: filepath.Join(w.cfg.Dir, "github"), Listen: w.cfg.Listen, Logger: w.cfg.Logger, Observe: w.cfg.Observe, ObserveDelivery: w.cfg.ObserveDelivery})
	if err != nil {
		return err
	}
	for _, u := range []ghsim.User{{Login: Author, Name: "Ada Lovelace"}, {Login: Reviewer, Name: "Grace Hopper"}} {
		if _, err := w.GitHub.CreateUser(u); err != nil {
			return err
		}
	}
	files := w.cfg.Files
	if files == nil {
		if files, err = repository(filepath.Join(w.cfg.Dir, "repository")); err != nil {
			return err
		}
	}
	w.Repo, err = w.GitHub.CreateRepo(ghsim.NewRepo{Owner: "acme", Name: "payments", Private: true, Author: Author, Message: "The payment infrastructure",
		Files: files, Roles: map[string]string{Author: "write", Reviewer: "write"},
		Protected: map[string]ghsim.Protection{"main": {Checks: []string{"tollgate"}, Approvals: 1}}})
	if err != nil {
		return err
	}
	return w.server()
}

// repository lays out the payment infrastructure as a repository of its own.
func repository(dir string) (fs.FS, error) {
	if err := os.CopyFS(filepath.Join(dir, Dir), infrastructure.Files); err != nil {
		return nil, err
	}
	return os.DirFS(dir), errors.Join(
		os.WriteFile(filepath.Join(dir, ".tollgate.yaml"), []byte(config), 0o600),
		os.WriteFile(filepath.Join(dir, "README.md"), []byte(readme), 0o600))
}

// server registers the App and prepares the process that runs it.
func (w *World) server() error {
	address, err := freeAddress()
	if err != nil {
		return err
	}
	var raw [32]byte
	_, _ = rand.Read(raw[:])
	secret := hex.EncodeToString(raw[:])
	w.App, err = w.GitHub.CreateApp(ghsim.NewApp{Slug: "tollgate", Name: "Tollgate", Owner: "acme", WebhookURL: "http://" + address + "/webhooks/github", WebhookSecret: secret, CallbackURL: "http://" + address + "/signin/callback",
		Permissions: map[string]string{"checks": "write", "contents": "read", "deployments": "write", "issues": "write", "pull_requests": "write", "metadata": "read", "members": "read"},
		Events:      []string{"pull_request", "pull_request_review", "issue_comment", "check_run", "check_suite", "push", "merge_group"}})
	if err != nil {
		return err
	}
	if _, err := w.GitHub.Install(w.App.ID, "acme"); err != nil {
		return err
	}
	key, hook, client := filepath.Join(w.cfg.Dir, "app-key.pem"), filepath.Join(w.cfg.Dir, "webhook-secret"), filepath.Join(w.cfg.Dir, "client-secret")
	if err := errors.Join(os.WriteFile(key, w.App.PrivateKey, 0o400), os.WriteFile(hook, []byte(secret), 0o400), os.WriteFile(client, []byte(w.App.ClientSecret), 0o400)); err != nil {
		return err
	}
	w.Bot = &Bot{URL: "http://" + address, Program: w.cfg.Bot, Log: filepath.Join(w.cfg.Dir, "server.log"), Args: append([]string{
		"--listen", address, "--public-url", "http://" + address, "--github-url", w.GitHub.URL(), "--github-app-id", fmt.Sprint(w.App.ID),
		"--github-app-key-file", key, "--github-webhook-secret-file", hook, "--github-client-id", w.App.ClientID, "--github-client-secret-file", client, "--data-dir", filepath.Join(w.cfg.Dir, "server"),
		"--terraform", w.cfg.Terraform, "--provider-mirror", strings.Join(w.cfg.Mirrors, ",")}, w.cfg.Args...)}
	return nil
}

// Close stops the server, the stand-in and the emulator, in this order.
func (w *World) Close() error {
	var errs []error
	if w.Bot != nil {
		errs = append(errs, w.Bot.Stop())
	}
	if w.GitHub != nil {
		errs = append(errs, w.GitHub.Close())
	}
	if w.Emulator != nil {
		w.Emulator.close()
	}
	return errors.Join(errs...)
}

// Propose pushes files to a new branch and opens a pull request from it.
func (w *World) Propose(branch, title, body string, files map[string]string) (*ghsim.Pull, error) {
	if _, err := w.Repo.Push(ghsim.Push{Branch: branch, By: Author, Message: title, Files: files}); err != nil {
		return nil, fmt.Errorf("push %s: %w", branch, err)
	}
	return w.Repo.OpenPull(ghsim.OpenPull{By: Author, Head: branch, Title: title, Body: body})
}

// Edit replaces text in a file of a branch, and fails if the text is not there exactly once.
func (w *World) Edit(rev, file, before, after string) (string, error) {
	text, err := w.Repo.File(rev, file)
	if err != nil {
		return "", err
	}
	if n := strings.Count(text, before); n != 1 {
		return "", fmt.Errorf("%s holds %q %d times, want once", file, before, n)
	}
	return strings.Replace(text, before, after, 1), nil
}
