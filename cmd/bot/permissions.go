package main

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/tollgate/tollgate/internal/fault"
	"github.com/tollgate/tollgate/internal/github"
)

// permissionPatience is how long a server that starts waits for GitHub to say what the App may do.
const permissionPatience = 5 * time.Second

// essential are the permissions without which nothing can be planned or told. Without the others something is
// missing that people will miss, such as deployments, but that is no reason to leave them with nothing.
var essential = map[string]string{"checks": "write", "contents": "read", "pull_requests": "read"}

// checkPermissions refuses to start for an App that lacks what is essential, and reports one that may do more or
// less than is needed. A GitHub that does not answer keeps nobody from starting: what was lost meanwhile is made
// up for later.
func checkPermissions(ctx context.Context, app *github.App, excess *prometheus.GaugeVec, log *slog.Logger) error {
	ctx, cancel := context.WithTimeout(github.Urgent(ctx), permissionPatience)
	defer cancel()
	asked, err := app.Registered(ctx)
	if err != nil {
		log.Warn("GitHub does not say what the App may do; bot doctor asks again", "error", err)
		return nil
	}
	if len(asked.Permissions) == 0 {
		log.Warn("GitHub does not say what the App may do")
		return nil
	}
	for _, name := range asked.Exceeds() {
		excess.WithLabelValues(name).Set(1)
		log.Warn("the App may do more than Tollgate needs: "+name, "fix", "Take it away on the App's settings page: whoever gets hold of the App's key has it too.")
	}
	if lacks := asked.Lacks(nil, github.Events); len(lacks) > 0 {
		log.Warn("the App does not hear of "+strings.Join(lacks, ", "), "fix", "Subscribe to it on the App's settings page.")
	}
	for _, name := range asked.Lacks(github.Permissions, nil) {
		log.Warn("the App lacks "+name, "effect", why([]string{name}), "fix", permissionFix)
	}
	lacks := asked.Lacks(essential, nil)
	if len(lacks) == 0 {
		return nil
	}
	return fault.New("The GitHub App may not do what Tollgate needs: it lacks "+strings.Join(lacks, ", ")+".", why(lacks), permissionFix)
}

const permissionFix = "Add that on the App's settings page under \"Permissions & events\"; each account then has to accept it."

// why says what permissions such as "checks: write" are needed for.
func why(permissions []string) string {
	var out []string
	for _, p := range permissions {
		name, _, _ := strings.Cut(p, ":")
		if use := github.Uses[name]; use != "" {
			out = append(out, fmt.Sprintf("%s is for %s.", p, use))
		}
	}
	return strings.Join(out, " ")
}
