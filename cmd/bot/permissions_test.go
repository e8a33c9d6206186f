package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/tollgate/tollgate/internal/github"
)

// Tollgate starts for an App that may do what is needed, says so if it may do more or less, and does not start if
// it lacks what is essential. A GitHub that does not answer is waited for later. What the log tells of it names no
// secret of the environment.
//
// Covers: T46, T84
func TestServeLooksAtWhatTheAppMayDo(t *testing.T) {
	t.Parallel()
	const warned = "the App may do more than Tollgate needs"
	for name, c := range map[string]struct {
		change         func(*ailment)
		bring          func(*testing.T, *patient)
		refused        []string
		log, metric    string
		never, noMatch string
	}{
		"what is needed":       {never: warned, noMatch: "tollgate_app_excess_permissions{"},
		"with what is of use":  {change: permits("members", "read"), never: warned},
		"more of something":    {change: permits("contents", "write"), log: warned + ": contents: write", metric: `tollgate_app_excess_permissions{permission="contents: write"} 1`},
		"something else":       {change: permits("administration", "read"), log: warned + ": administration: read", metric: `tollgate_app_excess_permissions{permission="administration: read"} 1`},
		"less of something":    {change: permits("checks", "read"), refused: []string{"it lacks checks: write.", "saying what a plan does", "Permissions & events"}},
		"nothing of something": {change: permits("contents", ""), refused: []string{"it lacks contents: read.", "fetching"}},
		"less than is needed":  {change: permits("deployments", ""), log: "the App lacks deployments: write", never: warned},
		"no answer":            {bring: given("github-url", "http://127.0.0.1:2"), log: "GitHub does not say what the App may do"},
		"a secret in an error": {bring: given("github-url", "http://"+loggedSecret), log: "GitHub does not say what the App may do", never: loggedSecret},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPatient(t, c.change)
			if c.bring != nil {
				c.bring(t, p)
			}
			p.settings["workers"], p.settings["listen"] = "0", "127.0.0.1:0"
			p.settings["provider-mirror"] = t.TempDir()
			program(`{"terraform_version": "1.11.4"}`)(t, p)
			delete(p.settings, "aws-plan-role")
			delete(p.settings, "aws-apply-role")
			log, metrics, status := served(t, call{environ: []string{"PAYMENTS_TOKEN=" + loggedSecret}}, append([]string{"serve"}, p.flags()...))
			wantStatus := 0
			if c.refused != nil {
				wantStatus = 2
			}
			if status != wantStatus {
				t.Errorf("exit status %d, want %d\n%s", status, wantStatus, log)
			}
			for _, words := range c.refused {
				if !strings.Contains(log, words) {
					t.Errorf("no %q in\n%s", words, log)
				}
			}
			if !strings.Contains(log, c.log) || c.never != "" && strings.Contains(log, c.never) {
				t.Errorf("want %q and not %q in the log:\n%s", c.log, c.never, log)
			}
			if !strings.Contains(metrics, c.metric) || c.noMatch != "" && strings.Contains(metrics, c.noMatch) {
				t.Errorf("want %q and not %q in the metrics", c.metric, c.noMatch)
			}
		})
	}
}

// loggedSecret is a secret in the server's environment, and an address that an error names.
const loggedSecret = "127.0.0.1:1"

// Every permission that is asked for has a use that can be told.
func TestUsesOfPermissions(t *testing.T) {
	t.Parallel()
	for name, level := range github.Permissions {
		if why([]string{name + ": " + level}) == "" {
			t.Errorf("nobody says what %s is for", name)
		}
	}
	for name := range github.OptionalPermissions {
		if github.Uses[name] == "" {
			t.Errorf("nobody says what %s is for", name)
		}
	}
}

func permits(name, level string) func(*ailment) {
	return func(a *ailment) {
		a.app.Permissions[name] = level
		if level == "" {
			delete(a.app.Permissions, name)
		}
	}
}

// served starts a server and stops it when it serves. It returns what it said, its metrics, and its exit status.
func served(t *testing.T, c call, args []string) (log, metrics string, status int) {
	t.Helper()
	cmd := c.command(t, args...)
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for lines := bufio.NewScanner(stderr); lines.Scan(); {
		log += lines.Text() + "\n"
		var line struct{ Msg, Address string }
		if json.Unmarshal(lines.Bytes(), &line) != nil || line.Msg != "serving" {
			continue
		}
		resp, err := http.Get("http://" + line.Address + "/metrics")
		if err != nil {
			t.Error(err)
		} else {
			b, _ := io.ReadAll(resp.Body) // what is missing is missed below
			resp.Body.Close()
			metrics = string(b)
		}
		if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
			t.Error(err)
		}
	}
	var exit *exec.ExitError
	if err := cmd.Wait(); err != nil && !errors.As(err, &exit) {
		t.Error(err)
	}
	return log, metrics, cmd.ProcessState.ExitCode()
}
